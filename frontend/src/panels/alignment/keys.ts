import type { PlacedBox } from '../../layout/place';
import type { Side } from '../../draw/figure';
import { OTHER } from '../../state/address';

interface Ground {
  boxes: () => Record<Side, readonly PlacedBox[]>;
  pinned: () => { side: Side; box: PlacedBox } | null;
  /** Index of the other model's box that matches best, if there is one. */
  best: (side: Side, index: number) => number | undefined;
  choose: (side: Side, box: PlacedBox) => void;
  release: () => void;
}

/** Arrows move along a model's depth and across to the best match of the other. */
export function keyboard({ boxes, pinned, best, choose, release }: Ground) {
  return (side: Side, event: KeyboardEvent): void => {
    const list = boxes()[side];
    const held = pinned();
    const at = held?.side === side ? list.findIndex((box) => box.id === held.box.id) : -1;
    const go = (to: Side, box: PlacedBox | undefined): void => {
      if (box) choose(to, box);
    };
    switch (event.key) {
      case 'ArrowRight':
        go(side, list[Math.min(list.length - 1, at + 1)]);
        break;
      case 'ArrowLeft':
        go(side, list[Math.max(0, at < 0 ? list.length - 1 : at - 1)]);
        break;
      case 'Home':
        go(side, list[0]);
        break;
      case 'End':
        go(side, list.at(-1));
        break;
      case 'ArrowDown':
      case 'ArrowUp': {
        const other = OTHER[side];
        go(other, boxes()[other][at >= 0 ? (best(side, at) ?? 0) : 0]);
        document.querySelector<SVGElement>(`.model.${other}`)?.focus();
        break;
      }
      case 'Escape':
        release();
        break;
      default:
        return;
    }
    event.preventDefault();
  };
}

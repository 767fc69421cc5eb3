import type { PlacedBox } from '../layout/place';
import type { Figure, Side } from './figure';
import type { Anchor } from './lines';

/** So far apart are lines beside each other at most. */
const MOST_LANE = 4;

/**
 * Where the lines of these boxes touch them: on the edge that faces the other model. A box with
 * others of parallel branches before it has its lines leave sideways instead, and each such box of
 * a column has a lane of its own beside them: no line runs behind a box.
 */
export function anchors(
  { tops, layouts }: Figure,
  side: Side,
  boxes: readonly PlacedBox[],
): Anchor[] {
  const all = layouts[side].boxes;
  const towards = side === 'a' ? 1 : -1;
  const right = (box: PlacedBox): number => box.x + box.width / 2;
  const above = (p: PlacedBox, q: PlacedBox): boolean =>
    p !== q && Math.abs(p.x - q.x) < (p.width + q.width) / 2;
  return boxes.map((box) => {
    const column = all.filter((one) => above(one, box));
    const before = column.filter((one) => towards * (one.y - box.y) > 0);
    if (before.length === 0) {
      return { x: box.x, y: tops[side] + box.y + (towards * box.height) / 2 };
    }
    const edge = Math.max(right(box), ...column.map(right));
    const next = Math.min(
      ...all.map((one) => one.x - one.width / 2).filter((left) => left > edge - 0.5),
    );
    const lane = Math.min(MOST_LANE, Math.max(0, next - edge) / (column.length + 1));
    return {
      x: edge + lane * before.length,
      y: tops[side] + box.y + (towards * box.height) / 4,
      aside: right(box),
    };
  });
}

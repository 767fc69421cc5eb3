import type { PlacedBox } from '../../layout/place';
import { OTHER, type View } from '../../state/address';
import type { Side } from '../../state/session.svelte';

type Boxes = Record<Side, readonly PlacedBox[]>;

/** The line of the chosen pair as an index into a table of boxes; null if it has none. */
export function lineOfPair(boxes: Boxes, { selection, pair }: View): number | null {
  if (!selection || pair === null) return null;
  const find = (side: Side, layer: string): number =>
    boxes[side].findIndex((box) => box.layers.includes(layer));
  const mine = find(selection.side, selection.layer);
  const theirs = find(OTHER[selection.side], pair);
  if (mine < 0 || theirs < 0) return null;
  const [row, column] = selection.side === 'a' ? [mine, theirs] : [theirs, mine];
  return row * boxes.b.length + column;
}

/** The boxes that a line joins. */
export function boxesOfLine(boxes: Boxes, line: number): Record<Side, PlacedBox> {
  return { a: boxes.a[Math.floor(line / boxes.b.length)]!, b: boxes.b[line % boxes.b.length]! };
}

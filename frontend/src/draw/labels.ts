import type { Layout, PlacedBox } from '../layout/place';

/** A name beside the drawing: of a block (that folds and unfolds) or of a layer. */
export interface Label {
  key: string;
  text: string;
  full: string;
  x: number;
  /** 0 is the row next to the drawing. */
  row: number;
  block: string | null;
  folded: boolean;
}

const LETTER_WIDTH = 5.9;
const SPACE = 8;
// Room for the mark that says whether a block is folded.
const MARK_WIDTH = 10;

/**
 * Names for blocks first, then for layers where there is room: no two overlap.
 * Names of blocks lose the part that all of them share.
 */
export function placeLabels(layout: Layout): Label[] {
  const deepest = Math.max(0, ...layout.frames.map((frame) => frame.depth));
  const folded = layout.boxes.filter((box) => box.block !== null);
  const shorten = shortener([
    ...layout.frames.map((frame) => frame.name),
    ...folded.flatMap((box) => box.block ?? []),
  ]);
  const wanted: (Label & { room: number })[] = [
    ...layout.frames.map((frame) => ({
      key: `frame:${frame.name}`,
      text: shorten(frame.name),
      full: frame.name,
      x: (frame.left + frame.right) / 2,
      row: deepest - frame.depth,
      block: frame.name,
      folded: false,
      room: frame.right - frame.left,
    })),
    ...folded.map((box) => ({
      key: box.id,
      text: shorten(box.label),
      full: box.label,
      x: box.x,
      row: 0,
      block: box.block,
      folded: true,
      room: box.width + SPACE,
    })),
    ...layout.boxes
      .filter((box) => box.block === null && box.frame === null)
      .sort((p, q) => importance(q) - importance(p))
      .map((box) => ({
        key: box.id,
        text: box.label,
        full: box.label,
        x: box.x,
        row: 0,
        block: null,
        folded: false,
        room: Infinity,
      })),
  ];
  const taken = new Map<number, [number, number][]>();
  const labels: Label[] = [];
  for (const { room, ...label } of wanted) {
    const mark = label.block === null ? 0 : MARK_WIDTH;
    const text = fit(label.text, label.block === null ? Infinity : Math.max(room - mark, 0));
    const half = (text.length * LETTER_WIDTH + mark + SPACE) / 2;
    const x = Math.min(Math.max(label.x, half), Math.max(half, layout.width - half));
    const row = taken.get(label.row) ?? [];
    if (label.block === null && row.some(([left, right]) => x + half > left && x - half < right)) {
      continue;
    }
    row.push([x - half, x + half]);
    taken.set(label.row, row);
    labels.push({ ...label, text, x });
  }
  return labels;
}

function importance(box: PlacedBox): number {
  return box.outline === 'box' ? 2 : box.outline === 'terminal' ? 1 : 0;
}

/** As much of the end of a name as fits: what tells blocks apart is at their end. */
function fit(text: string, room: number): string {
  const letters = Math.floor(room / LETTER_WIDTH);
  if (text.length <= letters) return text;
  return letters >= 3 ? `…${text.slice(-(letters - 1))}` : '';
}

function shortener(names: readonly string[]): (name: string) => string {
  if (names.length < 2) return (name) => name;
  let shared = names[0]!;
  for (const name of names) {
    while (!name.startsWith(shared)) shared = shared.slice(0, -1);
  }
  const cut = Math.max(...['_', '.', '/', '-'].map((mark) => shared.lastIndexOf(mark))) + 1;
  return (name) => name.slice(cut) || name;
}

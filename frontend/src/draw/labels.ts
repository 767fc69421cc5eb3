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

export const LETTER_WIDTH = 5.9;
const SPACE = 8;
/** Room for the mark that says whether a block is folded. */
export const MARK_WIDTH = 10;

/**
 * Names for blocks first, then for layers where there is room: no two overlap.
 * Names of blocks lose the part that all of them share.
 */
export function placeLabels(layout: Layout): Label[] {
  const deepest = Math.max(0, ...layout.frames.map((frame) => frame.depth));
  const folded = layout.boxes.filter((box) => box.block !== null);
  const shorten = shortener([
    ...layout.frames.map((frame) => ({ name: frame.name, room: frame.right - frame.left })),
    ...folded
      .filter((box) => box.outline === 'block')
      .map((box) => ({ name: box.label, room: box.width + SPACE })),
  ]);
  const wanted: Label[] = [
    ...layout.frames.map((frame) => ({
      key: `frame:${frame.name}`,
      text: shorten(frame.name),
      full: frame.name,
      x: (frame.left + frame.right) / 2,
      row: deepest - frame.depth,
      block: frame.name,
      folded: false,
    })),
    ...folded.map((box) => ({
      key: box.id,
      text: box.outline === 'block' ? shorten(box.label) : box.label,
      full: box.label,
      x: box.x,
      row: 0,
      block: box.block,
      folded: true,
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
      })),
  ];
  const taken = new Map<number, [number, number][]>();
  const labels: Label[] = [];
  for (const label of wanted) {
    const mark = label.block === null ? 0 : MARK_WIDTH;
    const row = taken.get(label.row) ?? [];
    // A block keeps at least the mark that folds it; a layer's name is left out.
    for (const text of label.block === null ? [label.text] : [label.text, '']) {
      const half = (text.length * LETTER_WIDTH + mark + SPACE) / 2;
      const x = Math.min(Math.max(label.x, half), Math.max(half, layout.width - half));
      const free = row.every(([left, right]) => x + half <= left || x - half >= right);
      if (!free && text !== '') continue;
      row.push([x - half, x + half]);
      labels.push({ ...label, text, x });
      break;
    }
    taken.set(label.row, row);
  }
  return labels;
}

function importance(box: PlacedBox): number {
  return box.outline === 'box' ? 2 : box.outline === 'terminal' ? 1 : 0;
}

/**
 * One way of shortening for all blocks of a model, so that their names stay comparable: without
 * what all share, or, where that does not fit, only what follows the last separator.
 */
function shortener(blocks: readonly { name: string; room: number }[]): (name: string) => string {
  const fits = ({ room }: { room: number }, text: string): boolean =>
    text.length * LETTER_WIDTH + MARK_WIDTH <= room;
  const names = blocks.map((block) => block.name);
  const shared = names.length > 1 ? sharedBeginning(names) : 0;
  const brief = (name: string): string => name.slice(shared) || name;
  if (blocks.every((block) => fits(block, brief(block.name)))) return brief;
  const end = (name: string): string => name.split(/[_./-]/).at(-1) ?? name;
  return (name) => end(name);
}

/** How many letters all names begin with, up to and with a separator. */
function sharedBeginning(names: readonly string[]): number {
  let shared = names[0]!;
  for (const name of names) {
    while (!name.startsWith(shared)) shared = shared.slice(0, -1);
  }
  return Math.max(...['_', '.', '/', '-'].map((mark) => shared.lastIndexOf(mark))) + 1;
}

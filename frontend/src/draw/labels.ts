import { group } from 'd3-array';
import { elide, sharedBeginning } from '../layout/names';
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

export const LETTER_WIDTH = 6.3;
const SPACE = 8;
/** As few letters of a block's name as still say something. */
const SHORTEST = [9, 6];
/** So far beside its block a name may stand where the middle is taken. */
const SLIDES = [0, -2, 2, -4, 4, -6, 6];
/** Room for the mark that says whether a block is folded. */
export const MARK_WIDTH = 10;

/**
 * Names for blocks first, then for layers where there is room: no two overlap.
 * Names of blocks lose the part that all of them share where they are too long; those of the
 * outermost that touch even so stand in a further row, and those of the others in one in between.
 */
export function placeLabels(layout: Layout): Label[] {
  const labels = placedIn(layout, (_, row) => row);
  const nameless = labels.filter(({ block, folded, text }) => block !== null && folded && !text);
  if (nameless.length === 0) return labels;
  const crowded = Math.min(...nameless.map(({ row }) => row));
  const lowered = new Set(nameless.map(({ key }) => key));
  const roomier = placedIn(layout, (key, row) =>
    row > crowded || (row === crowded && lowered.has(key)) ? row + 1 : row,
  );
  const named = (all: readonly Label[]): number => all.filter(({ text }) => text).length;
  return named(roomier) > named(labels) ? roomier : labels;
}

/** The same with names in the rows that `rowOf` gives them in place of their own. */
function placedIn(layout: Layout, rowOf: (key: string, row: number) => number): Label[] {
  const folded = layout.boxes.filter((box) => box.block !== null);
  // A group drawn as its one operation: its name matters less than those of blocks.
  const [blocks, groups] = [
    folded.filter((box) => box.outline === 'block'),
    folded.filter((box) => box.outline !== 'block'),
  ];
  const depths = new Map(layout.frames.map((frame) => [frame.name, frame.depth]));
  const depthOf = (box: PlacedBox): number =>
    box.frame === null ? 0 : (depths.get(box.frame) ?? -1) + 1;
  const deepest = Math.max(0, ...depths.values(), ...blocks.map(depthOf));
  const outermost = rowOf('', deepest);
  const ofFolded = (box: PlacedBox, row: number): Label => ({
    key: box.id,
    text: withoutParent(box.label, box.frame),
    full: box.label,
    x: box.x,
    row: rowOf(box.id, row),
    block: box.block,
    folded: true,
  });
  const named: Label[] = [
    ...layout.frames.map((frame) => ({
      key: `frame:${frame.name}`,
      text: withoutParent(frame.label, frame.parent),
      full: frame.label,
      x: (frame.left + frame.right) / 2,
      row: rowOf(`frame:${frame.name}`, deepest - frame.depth),
      block: frame.name,
      folded: false,
    })),
    ...blocks.map((box) => ofFolded(box, deepest - depthOf(box))),
  ];
  // What is around a block is written in another row, and shortened by what is beside it there.
  const rows = group(named, (label) => label.row);
  const shorteners = new Map([...rows].map(([row, labels]) => [row, shortener(labels)]));
  const written = named.map((label) => ({
    ...label,
    text: shorteners.get(label.row)!(label.text),
  }));
  const others: Label[] = [
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
    ...groups.map((box) => ofFolded(box, 0)),
  ];
  const taken = new Map<number, [number, number][]>();
  const within = (x: number, half: number): [number, number] => {
    const middle = Math.min(Math.max(x, half), Math.max(half, layout.width - half));
    return [middle - half, middle + half];
  };
  // A block keeps at least the mark that folds it; other names are left out where they touch.
  const marks = new Map<string, [number, number]>();
  for (const { key, x, row } of named) {
    const mark = within(x, MARK_WIDTH / 2);
    marks.set(key, mark);
    taken.set(row, [...(taken.get(row) ?? []), mark]);
  }
  const labels = new Map<string, Label>();
  // No name of a block gives way to one that loses its middle.
  const tries = [
    ...written.map((label) => ({ label, texts: [label.text] })),
    ...written.map((label) => ({ label, texts: shorter(label.text) })),
    ...others.map((label) => ({
      label,
      texts: label.block === null ? [label.text] : [label.text, ...shorter(label.text)],
    })),
  ];
  for (const { label, texts } of tries) {
    if (labels.has(label.key)) continue;
    const mark = marks.get(label.key);
    const further = label.block !== null && label.row === outermost ? [outermost + 1] : [];
    const slides = label.block === null ? [0] : SLIDES;
    const ways = texts.flatMap((text) =>
      [label.row, ...further].flatMap((row) => slides.map((slide) => ({ text, row, slide }))),
    );
    // What can be folded has a mark at least, a group where there is room for one.
    if (mark === undefined && label.block !== null)
      ways.push({ text: '', row: label.row, slide: 0 });
    const extent = (text: string, slide: number): [number, number] => {
      const letters = text.length * LETTER_WIDTH;
      return within(
        label.x + slide,
        (letters + (label.block === null ? 0 : MARK_WIDTH) + SPACE) / 2,
      );
    };
    const way = ways.find(({ text, row, slide }) => {
      const [left, right] = extent(text, slide);
      return (taken.get(row) ?? []).every(
        (one) => one === mark || right <= one[0] || one[1] <= left,
      );
    });
    if (way) {
      const { text, row, slide } = way;
      const [left, right] = extent(text, slide);
      taken.set(
        label.row,
        (taken.get(label.row) ?? []).filter((one) => one !== mark),
      );
      taken.set(row, [...(taken.get(row) ?? []), [left, right]]);
      labels.set(label.key, { ...label, text, row, x: (left + right) / 2 });
    }
  }
  for (const label of written) {
    const [left, right] = marks.get(label.key)!;
    if (!labels.has(label.key))
      labels.set(label.key, { ...label, text: '', x: (left + right) / 2 });
  }
  return [...labels.values()];
}

/** Of names in a row every `step`-th is written, and the marked one instead of those it touches. */
export function isNamed(index: number, marked: number, step: number): boolean {
  return (
    index === marked || (index % step === 0 && (marked < 0 || Math.abs(index - marked) >= step))
  );
}

/** conv2_block1 in conv2 is block1, and the part conv2 (2) is (2): what is around says the rest. */
function withoutParent(name: string, parent: string | null): string {
  const rest = parent !== null && name.startsWith(parent) ? name.slice(parent.length) : '';
  return /^[_./ -][\w(]/.test(rest) ? rest.slice(1) : name;
}

/**
 * Where there is no more room, reduction_reduce_4 is reduce_4 (normal_4 is not 4); then its middle
 * is left out.
 */
function shorter(text: string): string[] {
  const rest = text.replace(/^[^_./-]*[_./-]/, '');
  const without = rest !== text && /[a-z]/i.test(rest) ? [rest] : [];
  return [...without, ...SHORTEST.map((letters) => elide(text, letters))];
}

function importance(box: PlacedBox): number {
  return box.outline === 'box' ? 2 : box.outline === 'terminal' ? 1 : 0;
}

/**
 * One way of shortening for all blocks in a row, so that their names stay comparable: not at
 * all; without what all share, but for its last word; without that too; or, where that does not fit
 * either and still tells them apart, only what follows the last separator.
 */
function shortener(row: readonly Label[]): (name: string) => string {
  const sorted = row.toSorted((p, q) => p.x - q.x);
  /** Whether each has room in the middle between its neighbours. */
  const fits = (write: (name: string) => string): boolean => {
    const halves = sorted.map(
      ({ text }) => (write(text).length * LETTER_WIDTH + MARK_WIDTH + SPACE) / 2,
    );
    return sorted.every(
      ({ x }, at) => at === 0 || x - sorted[at - 1]!.x >= halves[at]! + halves[at - 1]!,
    );
  };
  if (fits((name) => name)) return (name) => name;
  const names = row.map(({ text }) => text);
  // What is a part of a block says so by its number alone.
  const whole = names.filter((name) => !name.startsWith('('));
  const shared = sharedBeginning(whole);
  const words = shared && whole[0]!.slice(0, shared).search(/[^_./-]+[_./-]?$/);
  const from = (start: number) => (name: string) =>
    name.startsWith('(') ? name : name.slice(start) || name;
  const brief = from(shared);
  const way = [from(words), brief].find(fits);
  if (way) return way;
  const end = (name: string): string => name.split(/[_./-]/).at(-1) ?? name;
  // What follows the last separator may not tell them apart: conv2_block1, conv3_block1.
  return new Set(names.map(end)).size === new Set(names).size ? end : brief;
}

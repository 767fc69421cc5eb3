import { median } from 'd3-array';
import { bestInColumn, bestInRow, type Table } from './matrix';

/** A block of a model and where its layers stand among the compared ones. */
export interface Part {
  name: string;
  layers: readonly number[];
}

/** Something that is not as in the rest of a comparison, and how far it is off. */
export interface Finding {
  kind: 'order' | 'block' | 'repeat' | 'fall';
  side: 'a' | 'b';
  /** Layers of `side` that it is about, by their index, in order of depth. */
  layers: number[];
  /** Of the other model, where it is about a pair. */
  partner: number | null;
  block: string | null;
  /** What it is read from, in the sign of the measure's strength. */
  value: number;
  /** With what that is compared. */
  usual: number;
}

/** Less than this share of what the measure can be is no news, however regular the rest. */
const LEAST = 0.1;
/** In deviations of values from those beside them: of noise, about no match is so far off. */
const SURE = 3;
/** As a share of a model's depth. */
const OFF_ORDER = 0.3;
const FEWEST = 4;
const ALIKE = 0.01;
const MOST = 5;

/** A deviation that single outliers do not change. */
function deviation(values: readonly number[]): number {
  const middle = median(values) ?? 0;
  return 1.4826 * (median(values, (value) => Math.abs(value - middle)) ?? 0);
}

/**
 * What stands out in a comparison, the clearest first, at most five; nothing in one of a model
 * with itself, nor in one of noise. `span` is how far values of the measure can be apart.
 */
export function standsOut(
  table: Table,
  blocks: Record<'a' | 'b', readonly Part[]>,
  span: number,
): Finding[] {
  if (table.rows < FEWEST || table.columns < FEWEST || !(span > 0)) return [];
  const found = [
    ...offOrder(table, span),
    ...(['a', 'b'] as const).flatMap((side) => {
      const best = bestOf(table, side);
      return [
        ...lonelyBlocks(best, side, blocks[side], span),
        ...repeats(table, side, span),
        ...(side === 'a' ? falls(best, side, span) : []),
      ];
    }),
  ];
  const clear = (one: Finding): number => Math.abs(one.value - one.usual) / span;
  return found.sort((p, q) => clear(q) - clear(p)).slice(0, MOST);
}

function bestOf(table: Table, side: 'a' | 'b'): number[] {
  const { rows, columns, values } = table;
  return Array.from({ length: side === 'a' ? rows : columns }, (_, at) => {
    const other = side === 'a' ? bestInRow(table, at) : bestInColumn(table, at);
    if (other < 0) return NaN;
    return values[side === 'a' ? at * columns + other : other * columns + at]!;
  });
}

/** The best matches both ways that are far from where depth would have them, and not by noise. */
function offOrder(table: Table, span: number): Finding[] {
  const { rows, columns, values } = table;
  const noise = roughness(table);
  const found: Finding[] = [];
  for (let i = 0; i < rows; i++) {
    const j = bestInRow(table, i);
    if (j < 0 || bestInColumn(table, j) !== i) continue;
    const depth = i / (rows - 1);
    if (Math.abs(depth - j / (columns - 1)) < OFF_ORDER) continue;
    const value = values[i * columns + j]!;
    // Against the best of those near the same depth: a flat row has a best match anywhere.
    const near = Array.from({ length: columns }, (_, k) => k)
      .filter((k) => Math.abs(depth - k / (columns - 1)) < OFF_ORDER / 2)
      .map((k) => values[i * columns + k]!)
      .filter(Number.isFinite);
    if (near.length === 0) continue;
    const usual = Math.max(...near);
    if (value - usual < Math.max(LEAST * span, SURE * noise)) continue;
    found.push({ kind: 'order', side: 'a', layers: [i], partner: j, block: null, value, usual });
  }
  return found;
}

/** How much values differ from those of the layers beside them: of noise, all there is. */
function roughness({ rows, columns, values }: Table): number {
  const steps: number[] = [];
  for (let i = 0; i < rows; i++) {
    for (let j = 1; j < columns - 1; j++) {
      const at = i * columns + j;
      const step = values[at]! - (values[at - 1]! + values[at + 1]!) / 2;
      if (Number.isFinite(step)) steps.push(step);
    }
  }
  return deviation(steps);
}

/** Blocks none of whose layers has a match as good as layers of this model have. */
function lonelyBlocks(
  best: readonly number[],
  side: 'a' | 'b',
  blocks: readonly Part[],
  span: number,
): Finding[] {
  const finite = best.filter(Number.isFinite);
  const usual = median(finite) ?? 0;
  const least = Math.max(LEAST * span, 3 * deviation(finite));
  return blocks.flatMap(({ name, layers }) => {
    const of = layers.map((at) => best[at]!).filter(Number.isFinite);
    const value = Math.max(...of);
    if (of.length < 2 || 2 * of.length > finite.length || usual - value < least) return [];
    return [{ kind: 'block', side, layers: [...layers], partner: null, block: name, value, usual }];
  });
}

/** Runs of layers that compare with all of the other model as the layer before them does. */
function repeats(table: Table, side: 'a' | 'b', span: number): Finding[] {
  const [count, others] = side === 'a' ? [table.rows, table.columns] : [table.columns, table.rows];
  const at = (layer: number, other: number): number =>
    table.values[side === 'a' ? layer * table.columns + other : other * table.columns + layer]!;
  const apart = (p: number, q: number): number => {
    let most = 0;
    for (let other = 0; other < others; other++) {
      most = Math.max(most, Math.abs(at(p, other) - at(q, other)));
    }
    return most;
  };
  const steps = Array.from({ length: count - 1 }, (_, layer) => apart(layer, layer + 1));
  const usual = median(steps.filter(Number.isFinite)) ?? 0;
  // In a model of which every layer repeats the one before, that is no news.
  if (usual < LEAST * span) return [];
  const found: Finding[] = [];
  for (let from = 0; from < count - 1; from++) {
    let to = from;
    while (to < count - 1 && steps[to]! < ALIKE * span) to += 1;
    if (to - from >= 2) {
      const layers = Array.from({ length: to - from + 1 }, (_, k) => from + k);
      const value = Math.max(...steps.slice(from, to));
      found.push({ kind: 'repeat', side, layers, partner: null, block: null, value, usual });
    }
    from = Math.max(from, to);
  }
  return found;
}

/** The depth from which on best matches are much worse than before it. */
function falls(best: readonly number[], side: 'a' | 'b', span: number): Finding[] {
  const known = best.flatMap((value, layer) => (Number.isFinite(value) ? [{ value, layer }] : []));
  const mean = (list: typeof known): number =>
    list.reduce((sum, one) => sum + one.value, 0) / list.length;
  let clearest: Finding | null = null;
  for (let cut = FEWEST; cut <= known.length - FEWEST; cut++) {
    const [before, after] = [known.slice(0, cut), known.slice(cut)];
    const [usual, value] = [mean(before), mean(after)];
    const noise = Math.max(
      deviation(before.map((one) => one.value)),
      deviation(after.map((one) => one.value)),
    );
    const drop = usual - value;
    if (drop < 2 * LEAST * span || drop < 3 * noise) continue;
    if (clearest && drop <= clearest.usual - clearest.value) continue;
    const layers = after.map(({ layer }) => layer);
    clearest = { kind: 'fall', side, layers, partner: null, block: null, value, usual };
  }
  return clearest ? [clearest] : [];
}

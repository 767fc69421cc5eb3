import { median } from 'd3-array';
import { bestInColumn, bestInRow, type Table } from './matrix';

/** A block of a model and where its layers stand among the compared ones. */
export interface Part {
  name: string;
  layers: readonly number[];
}

/** Something that is not as in the rest of a comparison, and how far it is off. */
export interface Finding {
  kind: 'order' | 'block' | 'layer' | 'repeat' | 'fall' | 'null';
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
  /**
   * Two pairs of layers (of A and of B) on which it rests: it holds where their intervals are
   * apart.
   */
  pairs: [Pair, Pair];
}

export type Pair = readonly [a: number, b: number];

/** The interval of a pair, and its null. */
export type Certain = (pair: Pair) => { low: number; high: number; nullMean: number } | null;

/** Less than this share of what the measure can be is no news, however regular the rest. */
const LEAST = 0.1;
/** What is not compared with its own noise must be further apart. */
const CLEAR = 2 * LEAST;
/** In deviations of values from those beside them: of noise, about no match is so far off. */
const SURE = 3;
/** As a share of a model's depth, from where the layers beside it match. */
const OFF_ORDER = 0.2;
const FEWEST = 4;
/** Of a fall, the share that belongs to the layers on either side of it. */
const ABRUPT = 0.75;
/** Layers repeat the one before if they differ from it by less than this share of what layers do. */
const ALIKE = 0.2;
const MOST = 5;
/** A model has some layers that match least in any case. */
const MOST_ASKED = 3;

/** A deviation that single outliers do not change. */
function deviation(values: readonly number[]): number {
  const middle = median(values) ?? 0;
  return 1.4826 * (median(values, (value) => Math.abs(value - middle)) ?? 0);
}

/**
 * What may stand out in a comparison, the clearest first; nothing in one of a model with itself,
 * nor in one of noise. `span` is how far values of the measure can be apart.
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
      const lonely = lonelyBlocks(table, best, side, blocks[side], span);
      const inBlocks = new Set(lonely.flatMap(({ layers }) => layers));
      return [
        ...lonely,
        ...lonelyLayers(table, best, side, inBlocks, span),
        ...repeats(table, side, span),
        ...(side === 'a' ? falls(table, best, side, span) : []),
      ];
    }),
  ];
  const clear = (one: Finding): number => Math.abs(one.value - one.usual) / span;
  return found.sort((p, q) => clear(q) - clear(p));
}

/** Of each model, its layers of which the best match is least, and one that matches as usual. */
export function leastMatches(table: Table): Finding[] {
  return (['a', 'b'] as const).flatMap((side) => {
    const best = bestOf(table, side);
    const known = best
      .flatMap((value, layer) => (Number.isFinite(value) ? [layer] : []))
      .sort((p, q) => best[p]! - best[q]!);
    if (known.length < FEWEST) return [];
    const usual = known[known.length >> 1]!;
    return known.slice(0, MOST_ASKED).map((layer): Finding => ({
      kind: 'null',
      side,
      layers: [layer],
      partner: partnerOf(table, side, layer),
      block: null,
      value: best[layer]!,
      usual: best[usual]!,
      pairs: [bestPair(table, side, layer), bestPair(table, side, usual)],
    }));
  });
}

/**
 * Those that hold, at most five. Where values have intervals over images, these decide: two values
 * differ where their intervals are apart, and a value is above the null where its interval is.
 */
export function holding(found: readonly Finding[], certain: Certain): Finding[] {
  return found
    .flatMap((one): Finding[] => {
      const [mine, other] = one.pairs.map(certain);
      if (!mine || !other) return [];
      if (one.kind !== 'null') {
        const apart = mine.high < other.low || other.high < mine.low;
        return apart ? [one] : [];
      }
      // Where layers as usual are not above it either, the whole models are unrelated.
      const below = mine.low <= mine.nullMean && other.low > other.nullMean;
      return below ? [{ ...one, usual: mine.nullMean }] : [];
    })
    .slice(0, MOST);
}

function partnerOf(table: Table, side: 'a' | 'b', layer: number): number {
  return side === 'a' ? bestInRow(table, layer) : bestInColumn(table, layer);
}

function bestPair(table: Table, side: 'a' | 'b', layer: number): Pair {
  const partner = partnerOf(table, side, layer);
  return side === 'a' ? [layer, partner] : [partner, layer];
}

function bestOf(table: Table, side: 'a' | 'b'): number[] {
  const { rows, columns, values } = table;
  return Array.from({ length: side === 'a' ? rows : columns }, (_, at) => {
    const other = partnerOf(table, side, at);
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
    // Layers beside it say where depth would have it: models need not have the same proportions.
    const around = [i - 2, i - 1, i + 1, i + 2].flatMap((k) => {
      const column = k < 0 || k >= rows ? -1 : bestInRow(table, k);
      return column < 0 ? [] : [column];
    });
    const expected = median(around);
    if (j < 0 || bestInColumn(table, j) !== i || expected === undefined) continue;
    const off = (k: number, share: number): boolean =>
      Math.abs(expected - k) >= share * (columns - 1);
    const apart = Math.abs(i / (rows - 1) - j / (columns - 1));
    if (apart < OFF_ORDER || !off(j, OFF_ORDER)) continue;
    const value = values[i * columns + j]!;
    // Against the best of those near the same depth: a flat row has a best match anywhere.
    const near = Array.from({ length: columns }, (_, k) => k).filter(
      (k) => !off(k, OFF_ORDER / 2) && Number.isFinite(values[i * columns + k]!),
    );
    if (near.length === 0) continue;
    const beside = near.reduce((p, q) =>
      values[i * columns + q]! > values[i * columns + p]! ? q : p,
    );
    const usual = values[i * columns + beside]!;
    if (value - usual < Math.max(LEAST * span, SURE * noise)) continue;
    found.push({
      kind: 'order',
      side: 'a',
      layers: [i],
      partner: j,
      block: null,
      value,
      usual,
      pairs: [
        [i, j],
        [i, beside],
      ],
    });
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
  table: Table,
  best: readonly number[],
  side: 'a' | 'b',
  blocks: readonly Part[],
  span: number,
): Finding[] {
  const known = best.flatMap((value, layer) => (Number.isFinite(value) ? [layer] : []));
  known.sort((p, q) => best[p]! - best[q]!);
  const middle = known[known.length >> 1] ?? 0;
  const usual = best[middle]!;
  const spread = deviation(known.map((layer) => best[layer]!));
  return blocks.flatMap(({ name, layers }): Finding[] => {
    const of = layers.filter((at) => Number.isFinite(best[at]!));
    if (of.length < 2 || 2 * of.length > known.length) return [];
    const most = of.reduce((p, q) => (best[q]! > best[p]! ? q : p));
    const value = best[most]!;
    if (usual - value < Math.max(CLEAR * span, 2 * spread)) return [];
    const pairs: [Pair, Pair] = [bestPair(table, side, most), bestPair(table, side, middle)];
    const about = { layers: [...layers], partner: null, block: name };
    return [{ kind: 'block', side, ...about, value, usual, pairs }];
  });
}

/** Layers whose best match is far below those of layers on either side; the clearest stands first. */
function lonelyLayers(
  table: Table,
  best: readonly number[],
  side: 'a' | 'b',
  known: ReadonlySet<number>,
  span: number,
): Finding[] {
  const near = (at: number, by: number): number | null => {
    const beside = [at + by, at + 2 * by].filter((k) => Number.isFinite(best[k] ?? NaN));
    return beside.length ? beside.reduce((p, q) => (best[q]! > best[p]! ? q : p)) : null;
  };
  const found = best.flatMap((value, at): { at: number; beside: number }[] => {
    const [before, after] = [near(at, -1), near(at, 1)];
    if (!Number.isFinite(value) || known.has(at) || before === null || after === null) return [];
    const beside = best[before]! < best[after]! ? before : after;
    return best[beside]! - value >= CLEAR * span ? [{ at, beside }] : [];
  });
  const gap = ({ at, beside }: { at: number; beside: number }): number => best[beside]! - best[at]!;
  const first = [...found].sort((p, q) => gap(q) - gap(p))[0];
  if (!first) return [];
  const { at, beside } = first;
  const others = found.map((one) => one.at).filter((layer) => layer !== at);
  const pairs: [Pair, Pair] = [bestPair(table, side, at), bestPair(table, side, beside)];
  const about = { layers: [at, ...others], partner: null, block: null };
  return [{ kind: 'layer', side, ...about, value: best[at]!, usual: best[beside]!, pairs }];
}

/** Runs of layers that compare with all of the other model as the layer before them does. */
function repeats(table: Table, side: 'a' | 'b', span: number): Finding[] {
  const [count, others] = side === 'a' ? [table.rows, table.columns] : [table.columns, table.rows];
  const pair = (layer: number, other: number): Pair =>
    side === 'a' ? [layer, other] : [other, layer];
  const at = (layer: number, other: number): number => {
    const [row, column] = pair(layer, other);
    return table.values[row * table.columns + column]!;
  };
  /** Where a layer and the next one differ most, and by how much. */
  const steps = Array.from({ length: count - 1 }, (_, layer) => {
    let [most, where] = [NaN, 0];
    for (let other = 0; other < others; other++) {
      const by = Math.abs(at(layer, other) - at(layer + 1, other));
      if (!(by <= most)) [most, where] = [by, other];
    }
    return { layer, where, by: most };
  });
  const known = steps.filter(({ by }) => Number.isFinite(by)).sort((p, q) => p.by - q.by);
  const middle = known[known.length >> 1];
  // In a model of which every layer repeats the one before, that is no news.
  if (!middle || middle.by < LEAST * span) return [];
  const pairs: [Pair, Pair] = [
    pair(middle.layer, middle.where),
    pair(middle.layer + 1, middle.where),
  ];
  const found: Finding[] = [];
  for (let from = 0; from < count - 1; from++) {
    let to = from;
    while (to < count - 1 && steps[to]!.by < ALIKE * middle.by) to += 1;
    if (to - from >= 2) {
      const layers = Array.from({ length: to - from + 1 }, (_, k) => from + k);
      const value = Math.max(...steps.slice(from, to).map(({ by }) => by));
      const about = { layers, partner: null, block: null };
      found.push({ kind: 'repeat', side, ...about, value, usual: middle.by, pairs });
    }
    from = Math.max(from, to);
  }
  return found;
}

/** The depth from which on best matches are much worse than before it. */
function falls(table: Table, best: readonly number[], side: 'a' | 'b', span: number): Finding[] {
  const known = best.flatMap((value, layer) => (Number.isFinite(value) ? [{ value, layer }] : []));
  const mean = (list: typeof known): number =>
    list.reduce((sum, one) => sum + one.value, 0) / list.length;
  const middle = (list: typeof known): number =>
    list.toSorted((p, q) => p.value - q.value)[list.length >> 1]!.layer;
  let clearest: Finding | null = null;
  for (let cut = FEWEST; cut <= known.length - FEWEST; cut++) {
    const [before, after] = [known.slice(0, cut), known.slice(cut)];
    const [usual, value] = [mean(before), mean(after)];
    const noise = Math.max(
      deviation(before.map((one) => one.value)),
      deviation(after.map((one) => one.value)),
    );
    const drop = usual - value;
    if (drop < CLEAR * span || drop < 3 * noise) continue;
    // A slow decline, as of any two networks with depth, is no fall.
    if (mean(before.slice(-2)) - mean(after.slice(0, 2)) < ABRUPT * drop) continue;
    if (clearest && drop <= clearest.usual - clearest.value) continue;
    const layers = after.map(({ layer }) => layer);
    const about = { layers, partner: null, block: null };
    const pairs: [Pair, Pair] = [
      bestPair(table, side, middle(after)),
      bestPair(table, side, middle(before)),
    ];
    clearest = { kind: 'fall', side, ...about, value, usual, pairs };
  }
  return clearest ? [clearest] : [];
}

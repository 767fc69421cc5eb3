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
/** The same of the step from a layer to the next, which is small in a deep model. */
const LEAST_STEP = LEAST / 2;
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
/** The same of one layer that alone repeats another: of many layers, two are alike by accident. */
const ONE_ALIKE = 0.1;
const MOST = 5;
/** A model has some layers that match least in any case. */
const MOST_ASKED = 3;

/**
 * How far values of related layers can be apart; where the measure has no bounds, how far they are.
 * Below zero a similarity is that of unrelated layers, whatever its bound there.
 */
export function spanOf(
  measure: { low: number | null; high: number | null; distance: boolean },
  table: Table,
): number {
  const { low, high, distance } = measure;
  if (!distance && high !== null && (low === null || low < 0)) return high;
  if (low !== null && high !== null) return high - low;
  const values = [...table.values].filter(Number.isFinite);
  return values.length ? Math.max(...values) - Math.min(...values) : 0;
}

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

/**
 * Of each model, its layers of which the best match is least, and one that matches as usual, where
 * these are clearly apart.
 */
export function leastMatches(table: Table, span: number): Finding[] {
  return (['a', 'b'] as const).flatMap((side) => {
    const best = bestOf(table, side);
    const known = best
      .flatMap((value, layer) => (Number.isFinite(value) ? [layer] : []))
      .sort((p, q) => best[p]! - best[q]!);
    if (known.length < FEWEST) return [];
    const usual = known[known.length >> 1]!;
    const least = known.slice(0, MOST_ASKED);
    const clear = least.filter((layer) => best[usual]! - best[layer]! >= CLEAR * span);
    return clear.map((layer): Finding => ({
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
      // Where layers as usual are not above it either, the whole models are unrelated. Of these,
      // some layers match a little less than others by accident, so intervals have to be apart.
      const below = mine.low <= mine.nullMean && other.low > other.nullMean;
      return below && mine.high < other.low ? [{ ...one, usual: mine.nullMean }] : [];
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

/**
 * The best matches both ways that are far from where depth would have them, and not by noise.
 *
 * Of a layer that stands elsewhere in the other model, it may be the layer here or the one there
 * that matches none near the same depth: in a deep model, neighbours of either match nearly as well.
 */
function offOrder(table: Table, span: number): Finding[] {
  const noise = roughness(table);
  const found = new Map<string, Finding>();
  for (const side of ['a', 'b'] as const) {
    for (const one of offOrderOf(table, side, Math.max(LEAST * span, SURE * noise))) {
      const key = one.pairs[0].join();
      const other = found.get(key);
      if (!other || one.value - one.usual > other.value - other.usual) found.set(key, one);
    }
  }
  return [...found.values()];
}

function offOrderOf(table: Table, side: 'a' | 'b', least: number): Finding[] {
  const { rows, columns, values } = table;
  const [count, others] = side === 'a' ? [rows, columns] : [columns, rows];
  const pair = (i: number, j: number): Pair => (side === 'a' ? [i, j] : [j, i]);
  const at = (i: number, j: number): number => {
    const [row, column] = pair(i, j);
    return values[row * columns + column]!;
  };
  const found: Finding[] = [];
  for (let i = 0; i < count; i++) {
    const j = partnerOf(table, side, i);
    // Layers beside it say where depth would have it: models need not have the same proportions.
    const around = [i - 2, i - 1, i + 1, i + 2].flatMap((k) => {
      const partner = k < 0 || k >= count ? -1 : partnerOf(table, side, k);
      return partner < 0 ? [] : [partner];
    });
    const expected = median(around);
    const back = j < 0 ? -1 : partnerOf(table, side === 'a' ? 'b' : 'a', j);
    if (back !== i || expected === undefined) continue;
    const off = (k: number, share: number): boolean =>
      Math.abs(expected - k) >= share * (others - 1);
    const apart = Math.abs(i / (count - 1) - j / (others - 1));
    if (apart < OFF_ORDER || !off(j, OFF_ORDER)) continue;
    const value = at(i, j);
    // Against the best of those near the same depth: a flat row has a best match anywhere.
    const near = Array.from({ length: others }, (_, k) => k).filter(
      (k) => !off(k, OFF_ORDER / 2) && Number.isFinite(at(i, k)),
    );
    if (near.length === 0) continue;
    const beside = near.reduce((p, q) => (at(i, q) > at(i, p) ? q : p));
    const usual = at(i, beside);
    if (value - usual < least) continue;
    const pairs: [Pair, Pair] = [pair(i, j), pair(i, beside)];
    found.push({ kind: 'order', side, layers: [i], partner: j, block: null, value, usual, pairs });
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
  /** How far values of a layer are apart: of one that is related to no other, next to nothing. */
  const spread = (layer: number): number => {
    const own = Array.from({ length: others }, (_, other) => at(layer, other));
    const known = own.filter(Number.isFinite);
    return known.length ? Math.max(...known) - Math.min(...known) : 0;
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
  if (!middle || middle.by < LEAST_STEP * span) return [];
  const pairs: [Pair, Pair] = [
    pair(middle.layer, middle.where),
    pair(middle.layer + 1, middle.where),
  ];
  const found: Finding[] = [];
  for (let from = 0; from < count - 1; from++) {
    let to = from;
    while (to < count - 1 && steps[to]!.by < ALIKE * middle.by) to += 1;
    const most = Math.max(...steps.slice(from, to).map(({ by }) => by));
    const enough = to - from >= 2 || (to > from && most < ONE_ALIKE * middle.by);
    if (enough && spread(from) >= middle.by) {
      const layers = Array.from({ length: to - from + 1 }, (_, k) => from + k);
      const about = { layers, partner: null, block: null };
      found.push({ kind: 'repeat', side, ...about, value: most, usual: middle.by, pairs });
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
  const edge = Math.max(2, Math.round(known.length / 10));
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
    // A slow decline, as of any two networks with depth, is no fall. In a deep model, the layers
    // beside a step are like those on its other side, so that the step takes several layers.
    if (mean(before.slice(-edge)) - mean(after.slice(0, edge)) < ABRUPT * drop) continue;
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

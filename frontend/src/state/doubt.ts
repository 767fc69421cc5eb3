import { indicesOf } from '../align/matrix';
import type { LayerGraph, MeasureInfo } from '../api/types';
import type { Doubt } from '../draw/hatch';
import type { Side } from '../draw/figure';

/**
 * Of each layer, whether the measure says little of it: the probe has too few rows for its units, and
 * the measure declares that it is biased then. Null rows for each unit: no number of them is enough.
 */
export function biasedLayers(
  layers: readonly string[],
  measure: Pick<MeasureInfo, 'wants_rows_over_units' | 'rows_per_unit'> | null,
  graph: LayerGraph | null,
  rows: number | null,
): boolean[] {
  if (!measure?.wants_rows_over_units || rows === null) return layers.map(() => false);
  const units = new Map(graph?.nodes.map((node) => [node.name, node.units]));
  const enough = measure.rows_per_unit ?? Infinity;
  return layers.map((layer) => (units.get(layer) ?? 0) * enough > rows);
}

/** Permutations of the images for a p-value of each pair: as few as can be below the level. */
export const PERMUTATIONS = 19;
const LEVEL = 0.05;

/** What there is to doubt in a matrix of layers. */
export interface Doubts {
  biased: Record<Side, readonly boolean[]>;
  /** Of each pair, row after row: how often permuted images give as much. Null until it is known. */
  pValues: ArrayLike<number> | null;
  /** The reason that all compared pairs share: it is said once, and no pair is marked. */
  all: Doubt | null;
}

/** Whether all pairs that have a value are in doubt for one reason, and for which. */
export function doubtOfAll(doubts: Omit<Doubts, 'all'>, values: ArrayLike<number>): Doubt | null {
  const columns = doubts.biased.b.length;
  let shared: Doubt | null = null;
  for (let at = 0; at < values.length; at++) {
    if (Number.isNaN(values[at]!)) continue;
    const one = doubtOf(doubts, Math.floor(at / columns), at % columns);
    if (one === null || (shared !== null && one !== shared)) return null;
    shared = one;
  }
  return shared;
}

/** Why the measure cannot tell how alike two layers are; null where it can. */
export function doubtOf(
  { biased, pValues }: Omit<Doubts, 'all'>,
  row: number,
  column: number,
): Doubt | null {
  if (biased.a[row] || biased.b[column]) return 'rows';
  const at = row * biased.b.length + column;
  return pValues && pValues[at]! > LEVEL + 1e-9 ? 'null' : null;
}

/** Whether that is to be marked in a figure. */
export function markOf(doubts: Doubts, row: number, column: number): Doubt | null {
  return doubts.all === null ? doubtOf(doubts, row, column) : null;
}

/** The same of a layer: it is in doubt where each pair that has a value is. */
export function markOfLayer(doubts: Doubts, side: Side, index: number): Doubt | null {
  const { biased, pValues, all } = doubts;
  if (all !== null) return null;
  if (biased[side][index]) return 'rows';
  const others = biased[side === 'a' ? 'b' : 'a'].length;
  let compared = 0;
  for (let other = 0; pValues && other < others; other++) {
    const [row, column] = side === 'a' ? [index, other] : [other, index];
    if (Number.isNaN(pValues[row * biased.b.length + column]!)) continue;
    if (doubtOf(doubts, row, column) === null) return null;
    compared += 1;
  }
  return compared ? 'null' : null;
}

/** P-values of some layers in the matrix of all; NaN elsewhere. */
export function spreadOut(
  part: { rows: readonly string[]; columns: readonly string[]; values: ArrayLike<number> },
  rows: readonly string[],
  columns: readonly string[],
): Float64Array {
  const whole = new Float64Array(rows.length * columns.length).fill(NaN);
  const [down, across] = [indicesOf(rows, part.rows), indicesOf(columns, part.columns)];
  down.forEach((row, i) => {
    across.forEach((column, j) => {
      whole[row * columns.length + column] = part.values[i * across.length + j]!;
    });
  });
  return whole;
}

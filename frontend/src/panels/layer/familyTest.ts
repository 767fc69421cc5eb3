import type { Side } from '../../state/session.svelte';

/** The family-wise test of all pairs of two models, row after row. */
export interface Tested {
  rows: string[];
  columns: string[];
  /** NaN where a pair has none. */
  p: Float64Array;
  /** Null where the measure has no finite best value. */
  calibrated: Float64Array | null;
  warnings: string[];
}

/** What the test says of one pair; null where the pair is not in it. */
export function ofAllPairs(
  tested: Tested,
  names: Record<Side, string>,
): { p: number | null; calibrated: number | null } | null {
  const [row, column] = [tested.rows.indexOf(names.a), tested.columns.indexOf(names.b)];
  if (row < 0 || column < 0) return null;
  const at = row * tested.columns.length + column;
  const known = (values: Float64Array | null): number | null => {
    const value = values?.[at];
    return value === undefined || Number.isNaN(value) ? null : value;
  };
  return { p: known(tested.p), calibrated: known(tested.calibrated) };
}

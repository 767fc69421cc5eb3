import { median } from 'd3-array';
import type { Table } from './matrix';

export interface LargestChange {
  /** The column at whose end it is there. */
  column: number;
  /** The median over rows of how much they rose there, and of how much in all. */
  by: number;
  of: number;
}

/** Less than this share of what values can be is no news. */
const LEAST = 0.1;
/** One of few steps is always the largest. */
const FEWEST = 4;

/**
 * The step to which most of the change of a training belongs: more than half of it, and three times
 * what the other steps have. Null where rows change evenly, hardly, or one by one at steps of their
 * own. The last column is the reference as a rule, to which the step before it is no change of the
 * model's own; it takes no part.
 */
export function largestChange(table: Table, span: number): LargestChange | null {
  const columns = table.columns - 1;
  if (columns < FEWEST) return null;
  const rise = (row: number, to: number, from: number): number =>
    table.values[row * table.columns + to]! - table.values[row * table.columns + from]!;
  const overRows = (to: number, from: number): number => {
    const rises = Array.from({ length: table.rows }, (_, row) => rise(row, to, from));
    return median(rises.filter(Number.isFinite)) ?? NaN;
  };
  const by = Array.from({ length: columns - 1 }, (_, at) => overRows(at + 1, at));
  const of = overRows(columns - 1, 0);
  const at = by.reduce((best, value, k) => (value > by[best]! ? k : best), 0);
  const others = Math.max(...by.filter((_, k) => k !== at));
  if (!(by[at]! > of / 2 && by[at]! >= 3 * others && by[at]! >= LEAST * span)) return null;
  return { column: at + 1, by: by[at]!, of };
}

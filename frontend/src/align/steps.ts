/** Tables over training: a row per layer, a column per step. */

import { ranks, type Sign, type Table } from './matrix';

/** What values can be; a sign of -1 says that small ones mean alike. */
export interface Limits {
  low: number;
  high: number;
  sign: Sign;
}

/** Layers that hardly move have no share of their change: it would be noise over noise. */
const LEAST_CHANGE = 0.02;

/**
 * How far each layer has come from its first column to its last, which is 1. Similarities begin
 * at different heights: untrained layers near the input may resemble trained ones at once.
 */
export function shareOfChange(table: Table): Table {
  const values = new Float64Array(table.values.length).fill(NaN);
  for (let row = 0; row < table.rows; row++) {
    const at = row * table.columns;
    const line = table.values.subarray(at, at + table.columns);
    const present = [...line].filter(Number.isFinite);
    const [first, last] = [present[0] ?? NaN, present.at(-1) ?? NaN];
    if (!(Math.abs(last - first) >= LEAST_CHANGE)) continue;
    line.forEach((value, column) => {
      values[at + column] = (value - first) / (last - first);
    });
  }
  return { ...table, values };
}

/**
 * For each row the first column from which values stay at `threshold` or above, -1 if the last
 * one does not: the library's `freezing_steps`. A cell without a value ends a stay.
 */
export function frozenFrom(table: Table, threshold: number): number[] {
  return Array.from({ length: table.rows }, (_, row) => {
    let from = -1;
    for (let column = table.columns - 1; column >= 0; column--) {
      const value = table.values[row * table.columns + column]!;
      if (!(value >= threshold)) break;
      from = column;
    }
    return from;
  });
}

/**
 * From what value on a layer counts as frozen, unless another is chosen: the library's
 * `freezing_threshold`. Nine tenths of the way to perfect similarity; -1 is the sign of distances.
 */
export function freezingThreshold({ low, high, sign }: Limits): number {
  return low + (sign > 0 ? 0.9 : 0.1) * (high - low);
}

/** One row of a table as points (step, value), those with a value only. */
export function line(
  table: Table,
  row: number,
  steps: readonly number[],
): { step: number; value: number }[] {
  if (row < 0) return [];
  const values = table.values.subarray(row * table.columns, (row + 1) * table.columns);
  return steps.flatMap((step, column) => {
    const value = values[column]!;
    return Number.isFinite(value) ? [{ step, value }] : [];
  });
}

/** The cells of a step × step table where both steps are the same, as points. */
export function sameStep(
  table: Table,
  rowSteps: readonly number[],
  columnSteps: readonly number[],
): { step: number; value: number }[] {
  const columnOf = new Map(columnSteps.map((step, column) => [step, column]));
  return rowSteps.flatMap((step, row) => {
    const column = columnOf.get(step);
    const value = column === undefined ? NaN : table.values[row * table.columns + column]!;
    return Number.isFinite(value) ? [{ step, value }] : [];
  });
}

/** At most `count` of a list, evenly spread, the first and the last among them. */
export function spread<T>(list: readonly T[], count: number): T[] {
  if (list.length <= count) return [...list];
  if (count < 2) return list.slice(-count);
  return Array.from(
    { length: count },
    (_, i) => list[Math.round((i * (list.length - 1)) / (count - 1))]!,
  );
}

/**
 * Spearman's rank correlation of layers' depth with when they froze: 1 if every layer froze after
 * all before it. Null where too few froze, or all at once.
 */
export function bottomUp(frozen: readonly number[]): number | null {
  const found = frozen.flatMap((column, depth) => (column < 0 ? [] : [{ column, depth }]));
  if (found.length < 3) return null;
  const rank = (values: number[]): number[] => {
    const table = { rows: 1, columns: values.length, values: Float64Array.from(values) };
    return [...ranks(table).values].map((value) => value - 0.5);
  };
  const x = rank(found.map((one) => one.depth));
  const y = rank(found.map((one) => one.column));
  const dot = (p: number[], q: number[]): number => p.reduce((sum, v, i) => sum + v * q[i]!, 0);
  const size = Math.sqrt(dot(x, x) * dot(y, y));
  return size > 0 ? dot(x, y) / size : null;
}

/** Similarities between drawn things, and how the reader wants them scaled. */

export interface Table {
  rows: number;
  columns: number;
  /** rows × columns, row after row. NaN where there is nothing to compare. */
  values: Float64Array;
}

/** Of what is still to come. */
export const NO_TABLE: Table = { rows: 0, columns: 0, values: new Float64Array() };

/**
 * `raw` and `fit` show the values themselves and differ in what the ends of the scale are; `null`
 * shows how far they are above the mean of the null, in which images are permuted.
 */
export type Scale = 'raw' | 'fit' | 'rank' | 'null';

/** Distances change sign, so that more is more alike everywhere; they are shown with the other. */
export type Sign = 1 | -1;

export function strength(values: Float64Array, sign: Sign): Float64Array {
  return sign > 0 ? values : values.map((value) => -value);
}

/** Pick the rows and columns of one layer per drawn box. -1 where a box has no layer. */
export function choose(table: Table, rows: readonly number[], columns: readonly number[]): Table {
  const values = new Float64Array(rows.length * columns.length);
  rows.forEach((row, i) => {
    columns.forEach((column, j) => {
      values[i * columns.length + j] =
        row < 0 || column < 0 ? NaN : table.values[row * table.columns + column]!;
    });
  });
  return { rows: rows.length, columns: columns.length, values };
}

/** Of a model against itself: a layer's similarity with itself says nothing. */
export function withoutIdentity(
  table: Table,
  rows: readonly number[],
  columns: readonly number[],
): Table {
  const values = table.values.slice();
  rows.forEach((row, i) => {
    columns.forEach((column, j) => {
      if (row === column) values[i * table.columns + j] = NaN;
    });
  });
  return { ...table, values };
}

/** Each value's rank among all, from 0 (least) to 1 (greatest); equal values share a rank. */
export function ranks(table: Table): Table {
  const order = [...table.values.keys()].filter((i) => Number.isFinite(table.values[i]));
  order.sort((i, j) => table.values[i]! - table.values[j]!);
  const values = new Float64Array(table.values.length).fill(NaN);
  const last = Math.max(order.length - 1, 1);
  for (let start = 0; start < order.length;) {
    let end = start;
    while (
      end + 1 < order.length &&
      table.values[order[end + 1]!] === table.values[order[start]!]
    ) {
      end += 1;
    }
    for (let k = start; k <= end; k++) values[order[k]!] = (start + end) / 2 / last;
    start = end + 1;
  }
  return { ...table, values };
}

/** How far values are above others, such as those of the null. */
export function above(table: Table, other: Float64Array): Table {
  return { ...table, values: table.values.map((value, at) => value - other[at]!) };
}

/** Where these layers stand among all; -1 for one that is not there. */
export function indicesOf(all: readonly string[], layers: readonly string[]): number[] {
  const at = new Map(all.map((name, index) => [name, index]));
  return layers.map((name) => at.get(name) ?? -1);
}

/** How far below the least value a missing one counts, as a share of the largest. */
const LESS = 1e-6;

/**
 * What alignments are read from: the rows and the columns that have a value at all, and the value
 * between the i-th and the j-th of them. One that is missing counts as a little less than the least
 * that there is, so that it is paired only where there is nothing else: as in the library.
 */
export function compared(table: Table): {
  rows: number[];
  columns: number[];
  value: (i: number, j: number) => number;
} {
  const at = (row: number, column: number): number => table.values[row * table.columns + column]!;
  const allRows = Array.from({ length: table.rows }, (_, row) => row);
  const allColumns = Array.from({ length: table.columns }, (_, column) => column);
  const rows = allRows.filter((row) => allColumns.some((j) => Number.isFinite(at(row, j))));
  const columns = allColumns.filter((column) => rows.some((i) => Number.isFinite(at(i, column))));
  const [least] = range(table);
  const largest = table.values.reduce(
    (most, one) => (Number.isFinite(one) ? Math.max(most, Math.abs(one)) : most),
    0,
  );
  const missing = least - LESS * (largest || 1);
  const value = (i: number, j: number): number => {
    const found = at(rows[i]!, columns[j]!);
    return Number.isFinite(found) ? found : missing;
  };
  return { rows, columns, value };
}

/** Least and greatest finite value; [0, 1] of an empty table. */
export function range(table: Table): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of table.values) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** Index of the greatest value in a row, or -1. */
export function bestInRow(table: Table, row: number): number {
  let best = -1;
  for (let column = 0; column < table.columns; column++) {
    const value = table.values[row * table.columns + column]!;
    if (Number.isFinite(value) && (best < 0 || value > table.values[row * table.columns + best]!)) {
      best = column;
    }
  }
  return best;
}

/** Index of the greatest value in a column, or -1. */
export function bestInColumn(table: Table, column: number): number {
  let best = -1;
  for (let row = 0; row < table.rows; row++) {
    const value = table.values[row * table.columns + column]!;
    if (
      Number.isFinite(value) &&
      (best < 0 || value > table.values[best * table.columns + column]!)
    ) {
      best = row;
    }
  }
  return best;
}

/** One layer's partners in the other model, strongest first. */
export function matches(
  table: Table,
  side: 'a' | 'b',
  index: number,
): { index: number; value: number }[] {
  const count = side === 'a' ? table.columns : table.rows;
  const found: { index: number; value: number }[] = [];
  for (let other = 0; other < count; other++) {
    const at = side === 'a' ? index * table.columns + other : other * table.columns + index;
    const value = table.values[at]!;
    if (Number.isFinite(value)) found.push({ index: other, value });
  }
  return found.sort((p, q) => q.value - p.value);
}

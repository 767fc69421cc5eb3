import type { Table } from './matrix';

export function table(rows: number[][]): Table {
  return {
    rows: rows.length,
    columns: rows[0]!.length,
    values: Float64Array.from(rows.flat()),
  };
}

export const CROSSED = table([
  [0.2, 0.9, 0.1],
  [0.8, 0.7, 0.3],
  [0.1, 0.2, 0.6],
]);

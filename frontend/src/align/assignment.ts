import { compared, type Table } from './matrix';

/**
 * The one-to-one pairing with the largest sum, as pairs (row, column) in order of row. It covers
 * all layers of the model that has fewer. A layer without any value takes no part; where single
 * values are missing they count as the least that there is.
 *
 * Shortest augmenting paths (Crouse, "On implementing 2D rectangular assignment algorithms", IEEE
 * Transactions on Aerospace and Electronic Systems, 2016), step by step as SciPy's
 * `linear_sum_assignment` has them, so that the library and the tab choose the same pairing where
 * several are equally good.
 */
export function oneToOne(table: Table): [number, number][] {
  const { rows, columns, value } = compared(table);
  const tall = rows.length > columns.length;
  const assigned = tall
    ? assign(columns.length, rows.length, (i, j) => -value(j, i))
    : assign(rows.length, columns.length, (i, j) => -value(i, j));
  return assigned
    .map((j, i): [number, number] => (tall ? [rows[j]!, columns[i]!] : [rows[i]!, columns[j]!]))
    .sort((p, q) => p[0] - q[0]);
}

/** For each of n rows its column of m ≥ n, such that the sum of costs is least. */
function assign(n: number, m: number, cost: (i: number, j: number) => number): number[] {
  const rowDual = new Float64Array(n);
  const columnDual = new Float64Array(m);
  const columnOf = new Array<number>(n).fill(-1);
  const rowOf = new Array<number>(m).fill(-1);
  for (let row = 0; row < n; row++) {
    const previous = new Array<number>(m).fill(-1);
    const shortest = new Float64Array(m).fill(Infinity);
    // From the last to the first, as in SciPy: of equal columns the first is taken.
    const remaining = Array.from({ length: m }, (_, at) => m - 1 - at);
    const visitedRows: number[] = [];
    const visitedColumns: number[] = [];
    let least = 0;
    let [i, sink] = [row, -1];
    while (sink < 0) {
      visitedRows.push(i);
      let [lowest, index] = [Infinity, -1];
      remaining.forEach((j, at) => {
        const length = least + cost(i, j) - rowDual[i]! - columnDual[j]!;
        if (length < shortest[j]!) {
          previous[j] = i;
          shortest[j] = length;
        }
        const found = shortest[j]!;
        if (found < lowest || (found === lowest && rowOf[j] === -1)) {
          [lowest, index] = [found, at];
        }
      });
      least = lowest;
      const column = remaining[index]!;
      visitedColumns.push(column);
      const last = remaining.pop()!;
      if (index < remaining.length) remaining[index] = last;
      if (rowOf[column] === -1) sink = column;
      else i = rowOf[column]!;
    }
    for (const visited of visitedRows) {
      rowDual[visited]! += visited === row ? least : least - shortest[columnOf[visited]!]!;
    }
    for (const column of visitedColumns) columnDual[column]! -= least - shortest[column]!;
    // Turn round the path that leads from the new row to the free column.
    let column = sink;
    do {
      i = previous[column]!;
      rowOf[column] = i;
      [columnOf[i], column] = [column, columnOf[i]!];
    } while (i !== row);
  }
  return columnOf;
}

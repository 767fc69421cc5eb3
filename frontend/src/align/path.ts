import { compared, type Table } from './matrix';

/** Sums that differ by less, as a share of the largest value, are equal: as in the library. */
const ROUNDING = 1e-12;

type Cell = [row: number, column: number];

/**
 * The path through both models in order of depth with the largest mean value: the library's
 * `monotone_path`. It leads from the first layers to the last, each step to the next layer of one
 * model or of both, so that every layer is met and no two pairs cross. Since the mean is
 * maximised, a path is not better for being longer, and distances (which are negative here) are
 * aligned like similarities.
 *
 * A layer without any value takes no part. Where single values are missing, as between a layer
 * and itself, they count as less than the least: the path avoids them where it can.
 */
export function monotonePath(table: Table): Cell[] {
  const { rows, columns, value } = compared(table);
  if (rows.length === 0) return [];
  const values = new Float64Array(rows.length * columns.length).map((_, at) =>
    value(Math.floor(at / columns.length), at % columns.length),
  );
  const mean = (path: Cell[]): number =>
    path.reduce((sum, [i, j]) => sum + values[i * columns.length + j]!, 0) / path.length;
  const slack = ROUNDING * values.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
  let path = bestPath(values, columns.length, slack);
  // Dinkelbach's iteration: it ends when no path has a mean above `level`.
  for (;;) {
    const level = mean(path);
    path = bestPath(
      values.map((one) => one - level),
      columns.length,
      slack,
    );
    if (mean(path) <= level + slack) break;
  }
  return path.map(([i, j]) => [rows[i]!, columns[j]!]);
}

/** The path from corner to corner that has the largest sum; of equal ones the most diagonal. */
function bestPath(gain: Float64Array, width: number, slack: number): Cell[] {
  const height = gain.length / width;
  const total = new Float64Array((height + 1) * (width + 1)).fill(-Infinity);
  total[0] = 0;
  const at = (i: number, j: number): number => i * (width + 1) + j;
  const BACK: readonly Cell[] = [
    [1, 1],
    [1, 0],
    [0, 1],
  ];
  const step = new Uint8Array(gain.length);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const before = [total[at(i, j)]!, total[at(i, j + 1)]!, total[at(i + 1, j)]!];
      let chosen = 0;
      for (const other of [1, 2]) if (before[other]! > before[chosen]! + slack) chosen = other;
      step[i * width + j] = chosen;
      total[at(i + 1, j + 1)] = before[chosen]! + gain[i * width + j]!;
    }
  }
  const path: Cell[] = [[height - 1, width - 1]];
  for (let [i, j] = path[0]!; i > 0 || j > 0;) {
    const back = BACK[step[i * width + j]!]!;
    [i, j] = [i - back[0], j - back[1]];
    path.push([i, j]);
  }
  return path.reverse();
}

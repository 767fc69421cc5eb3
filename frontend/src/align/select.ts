import { bestInColumn, bestInRow, matches, range, type Table } from './matrix';

/** Which pairs are drawn as lines. */
export type Rule = 'top' | 'best' | 'one' | 'path' | 'all';

/** Pairs of a table as indices into its values, weakest first; which is how lines are kept. */
export type Pairs = Uint32Array;

/**
 * - `top`: each layer's `k` strongest partners, seen from either side.
 * - `best`: pairs that are each other's best match.
 * - `one`: the one-to-one matching of greatest total similarity.
 * - `path`: the monotone alignment of greatest total similarity: deeper meets deeper.
 * - `all`: every pair.
 *
 * As indices into the table's values, weakest first, so that a threshold is one cut and strong
 * lines are drawn on top.
 */
export function candidates(table: Table, rule: Rule, k: number): Pairs {
  const pairs = new Set<number>();
  const add = (row: number, column: number): void => {
    if (row >= 0 && column >= 0) pairs.add(row * table.columns + column);
  };
  switch (rule) {
    case 'top':
      for (let row = 0; row < table.rows; row++) {
        for (const { index } of matches(table, 'a', row).slice(0, k)) add(row, index);
      }
      for (let column = 0; column < table.columns; column++) {
        for (const { index } of matches(table, 'b', column).slice(0, k)) add(index, column);
      }
      break;
    case 'best':
      for (let row = 0; row < table.rows; row++) {
        const column = bestInRow(table, row);
        if (column >= 0 && bestInColumn(table, column) === row) add(row, column);
      }
      break;
    case 'one':
      for (const [row, column] of oneToOne(table)) add(row, column);
      break;
    case 'path':
      for (const [row, column] of monotone(table)) add(row, column);
      break;
    case 'all':
      return sorted(table, Uint32Array.from(table.values.keys()));
  }
  return sorted(table, Uint32Array.from(pairs));
}

function sorted({ values }: Table, pairs: Pairs): Pairs {
  return pairs.filter((at) => Number.isFinite(values[at])).sort((p, q) => values[p]! - values[q]!);
}

/** How many pairs reach `threshold`: the last ones. */
export function reaching(table: Table, pairs: Pairs, threshold: number): number {
  let [low, high] = [0, pairs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (table.values[pairs[middle]!]! < threshold) low = middle + 1;
    else high = middle;
  }
  return pairs.length - low;
}

/** One layer's pairs: those of `drawn`, and its strongest `most` of all. */
export function fan(
  table: Table,
  drawn: Pairs,
  side: 'a' | 'b',
  index: number,
  most: number,
): Pairs {
  const own = (at: number): boolean =>
    side === 'a' ? Math.floor(at / table.columns) === index : at % table.columns === index;
  const strongest = matches(table, side, index)
    .slice(0, most)
    .map(({ index: other }) =>
      side === 'a' ? index * table.columns + other : other * table.columns + index,
    );
  return sorted(table, Uint32Array.from(new Set([...drawn.filter(own), ...strongest])));
}

/**
 * The matching of greatest total value: the Hungarian method with potentials, O(n² m).
 * Missing values count as the least value there is.
 */
export function oneToOne(table: Table): [number, number][] {
  const tall = table.rows > table.columns;
  const [n, m] = tall ? [table.columns, table.rows] : [table.rows, table.columns];
  const [least] = range(table);
  const cost = (i: number, j: number): number => {
    const value = tall
      ? table.values[j * table.columns + i]!
      : table.values[i * table.columns + j]!;
    return -(Number.isFinite(value) ? value : least);
  };
  const rowPotential = new Float64Array(n + 1);
  const columnPotential = new Float64Array(m + 1);
  const rowOf = new Int32Array(m + 1);
  const previous = new Int32Array(m + 1);
  for (let i = 1; i <= n; i++) {
    rowOf[0] = i;
    let column = 0;
    const slack = new Float64Array(m + 1).fill(Infinity);
    const used = new Uint8Array(m + 1);
    do {
      used[column] = 1;
      const row = rowOf[column]!;
      let step = Infinity;
      let next = 0;
      for (let j = 1; j <= m; j++) {
        if (used[j]) continue;
        const reduced = cost(row - 1, j - 1) - rowPotential[row]! - columnPotential[j]!;
        if (reduced < slack[j]!) {
          slack[j] = reduced;
          previous[j] = column;
        }
        if (slack[j]! < step) {
          step = slack[j]!;
          next = j;
        }
      }
      for (let j = 0; j <= m; j++) {
        if (used[j]) {
          rowPotential[rowOf[j]!]! += step;
          columnPotential[j]! -= step;
        } else {
          slack[j]! -= step;
        }
      }
      column = next;
    } while (rowOf[column] !== 0);
    while (column !== 0) {
      const before = previous[column]!;
      rowOf[column] = rowOf[before]!;
      column = before;
    }
  }
  const pairs: [number, number][] = [];
  for (let j = 1; j <= m; j++) {
    if (rowOf[j] === 0) continue;
    pairs.push(tall ? [j - 1, rowOf[j]! - 1] : [rowOf[j]! - 1, j - 1]);
  }
  return pairs;
}

/**
 * The strictly monotone matching of greatest total value (both indices grow along it), by the
 * recurrence of the longest common subsequence. Missing and non-positive values are skipped.
 */
export function monotone(table: Table): [number, number][] {
  const width = table.columns + 1;
  const best = new Float64Array((table.rows + 1) * width);
  for (let i = 1; i <= table.rows; i++) {
    for (let j = 1; j <= table.columns; j++) {
      const value = table.values[(i - 1) * table.columns + j - 1]!;
      const gain = value > 0 ? best[(i - 1) * width + j - 1]! + value : 0;
      best[i * width + j] = Math.max(best[(i - 1) * width + j]!, best[i * width + j - 1]!, gain);
    }
  }
  const pairs: [number, number][] = [];
  let [i, j] = [table.rows, table.columns];
  while (i > 0 && j > 0) {
    const here = best[i * width + j]!;
    if (here === best[(i - 1) * width + j]) i -= 1;
    else if (here === best[i * width + j - 1]) j -= 1;
    else {
      pairs.push([i - 1, j - 1]);
      i -= 1;
      j -= 1;
    }
  }
  return pairs.reverse();
}

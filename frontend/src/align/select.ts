import { oneToOne } from './assignment';
import { bestInColumn, bestInRow, matches, type Table } from './matrix';
import { monotonePath } from './path';

/** Which pairs are drawn as lines. */
export type Rule = 'top' | 'best' | 'one' | 'path' | 'all';

/** Pairs of a table as indices into its values, weakest first; which is how lines are kept. */
export type Pairs = Uint32Array;

/**
 * - `top`: each layer's `k` strongest partners, seen from either side.
 * - `best`: pairs that are each other's best match.
 * - `one`: the one-to-one pairing with the largest sum.
 * - `path`: the path through both models in order of depth with the largest mean.
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
      for (const [row, column] of monotonePath(table)) add(row, column);
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

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { oneToOne } from './assignment';
import { CROSSED, table } from './fixture';
import { bestInRow, choose, strength, withoutIdentity, type Table } from './matrix';
import { monotonePath } from './path';
import { candidates, fan, reaching, type Rule } from './select';

type Pair = [number, number];

/** Written by tests/similarity/alignments.py, to which the library is held as well. */
interface Case {
  name: string;
  distance: boolean;
  /** Null where there is no value. */
  values: (number | null)[][];
  expected: Record<
    'best_matches' | 'best_matches_of_columns' | 'mutual_best' | 'one_to_one' | 'monotone_path',
    { pairs: Pair[]; score: number }
  >;
}
const SHARED = JSON.parse(
  readFileSync(new URL('../../../tests/fixtures/alignments.json', import.meta.url), 'utf8'),
) as Case[];

describe('rules, as the library has them', () => {
  it.each(SHARED)('$name', ({ distance, values, expected }) => {
    const measured = table(values.map((row) => row.map((value) => value ?? NaN)));
    const t = { ...measured, values: strength(measured.values, distance ? -1 : 1) };
    const ruled = (rule: Rule): Pair[] =>
      [...candidates(t, rule, 1)]
        .sort((p, q) => p - q)
        .map((at) => [Math.floor(at / t.columns), at % t.columns]);
    const score = (pairs: Pair[]): number =>
      pairs.reduce((sum, [i, j]) => sum + values[i]![j]!, 0) / pairs.length;

    expect(ruled('best')).toEqual(expected.mutual_best.pairs);
    expect(ruled('one')).toEqual(expected.one_to_one.pairs);
    expect(ruled('path')).toEqual(expected.monotone_path.pairs);
    // The strongest of each layer, seen from either side.
    const seen = [...expected.best_matches.pairs, ...expected.best_matches_of_columns.pairs];
    expect(new Set(ruled('top').map(String))).toEqual(new Set(seen.map(String)));
    const strongest = values.map((_, row) => [row, bestInRow(t, row)]);
    expect(strongest.filter(([, column]) => column! >= 0)).toEqual(expected.best_matches.pairs);
    expect(score(ruled('best'))).toBeCloseTo(expected.mutual_best.score, 9);
    expect(score(ruled('one'))).toBeCloseTo(expected.one_to_one.score, 9);
    expect(score(ruled('path'))).toBeCloseTo(expected.monotone_path.score, 9);
  });

  it('has cases of every shape and both kinds of measure', () => {
    expect(SHARED.length).toBeGreaterThan(20);
    expect(SHARED.some(({ distance }) => distance)).toBe(true);
    expect(SHARED.some(({ values }) => values.length > values[0]!.length)).toBe(true);
    expect(SHARED.some(({ values }) => values.length < values[0]!.length)).toBe(true);
    expect(SHARED.some(({ values }) => values.flat().includes(null))).toBe(true);
  });
});

describe('alignments where values are missing', () => {
  it('go round the pairs of a layer with itself, which are not joined', () => {
    const depths = [0, 1, 2, 3, 4];
    const same = table(depths.map((i) => depths.map((j) => Math.exp(-Math.abs(i - j)))));
    const others = withoutIdentity(same, depths, depths);
    const met = monotonePath(others);
    expect(met.filter(([i, j]) => i === j)).toEqual([
      [0, 0],
      [4, 4],
    ]);
    expect(candidates(others, 'path', 1)).toHaveLength(met.length - 2);
    expect(oneToOne(others).every(([i, j]) => i !== j)).toBe(true);
  });

  it('leave out a layer that has no value at all', () => {
    const chosen = choose(CROSSED, [0, -1, 1, 2], [0, 1, -1, 2]);
    const without = (pairs: Pair[]): Pair[] =>
      pairs.map(([i, j]) => [i > 1 ? i - 1 : i, j > 2 ? j - 1 : j]);
    expect(monotonePath(chosen).flat()).not.toContain(undefined);
    expect(without(monotonePath(chosen))).toEqual(monotonePath(CROSSED));
    expect(without(oneToOne(chosen))).toEqual(oneToOne(CROSSED));
  });

  it.each(['one', 'path', 'best', 'top', 'all'] as const)('are none of nothing: %s', (rule) => {
    const none: Table = { rows: 2, columns: 2, values: new Float64Array(4).fill(NaN) };
    expect(candidates(none, rule, 1)).toHaveLength(0);
    expect(candidates({ rows: 0, columns: 0, values: new Float64Array() }, rule, 1)).toHaveLength(
      0,
    );
  });
});

describe('lines', () => {
  const named = (t: Table, pairs: Uint32Array): string[] =>
    [...pairs].map((at) => `${Math.floor(at / t.columns)}-${at % t.columns}`);
  const pairs = (rule: Rule, k = 1): string[] => named(CROSSED, candidates(CROSSED, rule, k));

  it('draws the strongest line last', () => {
    expect(pairs('top')).toEqual(['2-2', '1-0', '0-1']);
  });

  it('takes the strongest of each layer seen from either side', () => {
    const t = table([
      [0.9, 0.8],
      [0.5, 0.1],
    ]);
    expect(named(t, candidates(t, 'top', 1))).toEqual(['1-0', '0-1', '0-0']);
    expect(candidates(t, 'best', 1)).toHaveLength(1);
  });

  it('counts the pairs that reach the threshold, which are the last', () => {
    const all = candidates(CROSSED, 'all', 1);
    const strong = all.subarray(all.length - reaching(CROSSED, all, 0.65));
    expect(named(CROSSED, strong)).toEqual(['1-1', '1-0', '0-1']);
    expect(reaching(CROSSED, all, 0.7)).toBeGreaterThan(reaching(CROSSED, all, 0.75));
    expect(reaching(CROSSED, all, 2)).toBe(0);
    expect(reaching(CROSSED, all, -Infinity)).toBe(9);
  });

  it('joins no pair at the null or below where values are above the null', () => {
    const t = table([[-0.2, 0, 0.1]]);
    const all = candidates(t, 'all', 1);
    expect(reaching(t, all, Number.MIN_VALUE)).toBe(1);
  });

  it('draws nothing between things that cannot be compared', () => {
    const t = table([[NaN, 0.5]]);
    expect(named(t, candidates(t, 'all', 1))).toEqual(['0-1']);
  });

  it('isolates a layer: its strongest lines and those that are drawn anyway, seen from each side', () => {
    const drawn = candidates(CROSSED, 'best', 1);
    const of = (side: 'a' | 'b', index: number, most: number): string[] =>
      named(CROSSED, fan(CROSSED, drawn, side, index, most));
    expect(of('a', 1, 2)).toEqual(['1-1', '1-0']);
    expect(of('a', 1, 0)).toEqual(['1-0']);
    expect(of('b', 1, 3)).toEqual(['2-1', '1-1', '0-1']);
    expect(new Set(of('b', 1, 9)).size).toBe(3);
  });
});

import { describe, expect, it } from 'vitest';
import {
  bestInColumn,
  bestInRow,
  choose,
  matches,
  range,
  ranks,
  withoutIdentity,
  type Table,
} from './matrix';
import { candidates, fan, monotone, oneToOne, reaching, type Rule } from './select';

function table(rows: number[][]): Table {
  return {
    rows: rows.length,
    columns: rows[0]!.length,
    values: Float64Array.from(rows.flat()),
  };
}

const CROSSED = table([
  [0.2, 0.9, 0.1],
  [0.8, 0.7, 0.3],
  [0.1, 0.2, 0.6],
]);

function total(t: Table, pairs: [number, number][]): number {
  return pairs.reduce((sum, [i, j]) => sum + t.values[i * t.columns + j]!, 0);
}

describe('matrix', () => {
  it('ranks values from 0 to 1 and lets equal values share a rank', () => {
    expect([...ranks(table([[3, 1, 2, 2]])).values]).toEqual([1, 0, 0.5, 0.5]);
  });

  it('leaves out what cannot be compared', () => {
    const chosen = choose(CROSSED, [0, -1], [1, 2]);
    expect([...chosen.values]).toEqual([0.9, 0.1, NaN, NaN]);
    expect(range(chosen)).toEqual([0.1, 0.9]);
    expect(bestInRow(chosen, 1)).toBe(-1);
    expect(matches(chosen, 'b', 0)).toEqual([{ index: 0, value: 0.9 }]);
  });

  it('does not join a layer with itself', () => {
    const same = withoutIdentity(CROSSED, [4, 5, 6], [6, 4, 9]);
    expect([...same.values].map(Number.isFinite).indexOf(false)).toBe(1);
    expect(Number.isFinite(same.values[6]!)).toBe(false);
    expect([...same.values].filter(Number.isFinite)).toHaveLength(7);
  });

  it('finds the best match from either side', () => {
    expect(bestInRow(CROSSED, 1)).toBe(0);
    expect(bestInColumn(CROSSED, 1)).toBe(0);
    expect(matches(CROSSED, 'b', 2).map((m) => m.index)).toEqual([2, 1, 0]);
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

  it('joins no pair at chance or below where values are above chance', () => {
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

  it('aligns in the order of depth', () => {
    expect(monotone(CROSSED)).toEqual([
      [0, 1],
      [2, 2],
    ]);
  });

  it('matches one to one better than any other assignment', () => {
    let seed = 7;
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
    const t = table(Array.from({ length: 5 }, () => Array.from({ length: 6 }, random)));
    const permutations = (left: number[]): number[][] =>
      left.length === 0
        ? [[]]
        : left.flatMap((x) => permutations(left.filter((y) => y !== x)).map((p) => [x, ...p]));
    const best = Math.max(
      ...permutations([0, 1, 2, 3, 4, 5]).map((p) =>
        total(
          t,
          [0, 1, 2, 3, 4].map((i) => [i, p[i]!]),
        ),
      ),
    );
    expect(total(t, oneToOne(t))).toBeCloseTo(best, 12);
  });

  it('matches a tall matrix too, each layer once', () => {
    const t = table([[0.1], [0.9], [0.3]]);
    expect(oneToOne(t)).toEqual([[1, 0]]);
  });
});

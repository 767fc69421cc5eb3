import { describe, expect, it } from 'vitest';
import { CROSSED, table } from './fixture';
import { bestInColumn, bestInRow, choose, matches, range, ranks, withoutIdentity } from './matrix';

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

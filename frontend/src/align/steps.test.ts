import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import {
  bottomUp,
  freezingThreshold,
  frozenFrom,
  line,
  sameStep,
  shareOfChange,
  spread,
} from './steps';
import { strength } from './matrix';

const table = (rows: number[][]) => ({
  rows: rows.length,
  columns: rows[0]!.length,
  values: Float64Array.from(rows.flat()),
});

/** Written by tests/training/freezing.py, to which the library is held as well. */
interface Case {
  name: string;
  distance: boolean;
  range: [number, number];
  /** Null where there is no value. */
  values: (number | null)[][];
  threshold: number;
  /** Null for a layer that did not freeze. */
  frozen: (number | null)[];
}
const SHARED = JSON.parse(
  readFileSync(new URL('../../../tests/fixtures/freezing.json', import.meta.url), 'utf8'),
) as Case[];

describe('freezing, as the library has it', () => {
  it.each(SHARED)('$name', ({ distance, range: [low, high], values, threshold, frozen }) => {
    const sign = distance ? -1 : 1;
    expect(freezingThreshold({ low, high, sign })).toBe(threshold);
    const measured = table(values.map((row) => row.map((value) => value ?? NaN)));
    const alike = { ...measured, values: strength(measured.values, sign) };
    expect(frozenFrom(alike, sign * threshold)).toEqual(frozen.map((column) => column ?? -1));
  });

  it('has cases of both kinds of measure, with and without all values', () => {
    expect(SHARED.length).toBeGreaterThan(20);
    for (const kind of [true, false]) {
      const some = SHARED.filter(({ distance }) => distance === kind);
      expect(some.some(({ values }) => values.flat().includes(null))).toBe(true);
      expect(some.some(({ frozen }) => frozen.includes(null))).toBe(true);
      expect(some.some(({ frozen }) => frozen.some((column) => (column ?? 0) > 0))).toBe(true);
    }
  });
});

test('a layer is frozen from where it stays similar, and not before', () => {
  const values = table([
    [0.95, 0.5, 0.95, 0.97],
    [0.95, NaN, 0.95, 1],
    [1, 1, 1, 1],
    [1, 1, 1, 0.1],
  ]);
  expect(frozenFrom(values, 0.9)).toEqual([2, 2, 0, -1]);
});

test('the share of the way begins at 0, ends at 1 and is nothing for what hardly moved', () => {
  const share = shareOfChange(
    table([
      [0.6, 0.8, 1],
      [0.99, 0.7, 1],
      [NaN, 0.5, 1],
    ]),
  );
  expect([...share.values.slice(0, 3)].map((v) => Number(v.toFixed(6)))).toEqual([0, 0.5, 1]);
  expect([...share.values.slice(3, 6)]).toEqual([NaN, NaN, NaN]);
  expect([...share.values.slice(6)]).toEqual([NaN, 0, 1]);
});

test('lines leave out steps without a value', () => {
  const values = table([[0.1, NaN, 0.3]]);
  expect(line(values, 0, [0, 10, 20])).toEqual([
    { step: 0, value: 0.1 },
    { step: 20, value: 0.3 },
  ]);
  expect(line(values, -1, [0, 10, 20])).toEqual([]);
});

test('two runs meet at the steps that both have', () => {
  const values = table([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  expect(sameStep(values, [0, 10, 20], [10, 20])).toEqual([
    { step: 10, value: 3 },
    { step: 20, value: 6 },
  ]);
});

test('a spread keeps both ends', () => {
  const list = Array.from({ length: 100 }, (_, i) => i);
  expect(spread(list, 4)).toEqual([0, 33, 66, 99]);
  expect(spread(list, 1)).toEqual([99]);
  expect(spread([1, 2], 4)).toEqual([1, 2]);
});

test('bottom-up convergence is a rank correlation', () => {
  expect(bottomUp([1, 3, 4, 9])).toBeCloseTo(1);
  expect(bottomUp([9, 4, -1, 3, 1])).toBeCloseTo(-1);
  expect(bottomUp([5, 5, 5])).toBeNull();
  expect(bottomUp([1, 2])).toBeNull();
});

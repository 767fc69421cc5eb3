import { expect, test } from 'vitest';
import { bottomUp, frozenFrom, line, sameStep, shareOfChange, spread } from './steps';

const table = (rows: number[][]) => ({
  rows: rows.length,
  columns: rows[0]!.length,
  values: Float64Array.from(rows.flat()),
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

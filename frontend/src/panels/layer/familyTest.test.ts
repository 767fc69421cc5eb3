import { expect, test } from 'vitest';
import { ofAllPairs } from './familyTest';

const tested = {
  rows: ['conv1', 'conv2'],
  columns: ['stem', 'mid', 'top'],
  p: Float64Array.of(0.005, 0.2, 1, NaN, 0.01, 0.03),
  calibrated: Float64Array.of(0.5, 0, 0, NaN, 0.4, 0.1),
  warnings: [],
};

test('a pair has the numbers of its row and column', () => {
  expect(ofAllPairs(tested, { a: 'conv1', b: 'mid' })).toEqual({ p: 0.2, calibrated: 0 });
  expect(ofAllPairs(tested, { a: 'conv2', b: 'top' })).toEqual({ p: 0.03, calibrated: 0.1 });
});

test('a pair without a value, a layer that was left out and a measure without a best value', () => {
  expect(ofAllPairs(tested, { a: 'conv2', b: 'stem' })).toEqual({ p: null, calibrated: null });
  expect(ofAllPairs(tested, { a: 'flat', b: 'stem' })).toBeNull();
  const unbounded = { ...tested, calibrated: null };
  expect(ofAllPairs(unbounded, { a: 'conv1', b: 'stem' })).toEqual({ p: 0.005, calibrated: null });
});

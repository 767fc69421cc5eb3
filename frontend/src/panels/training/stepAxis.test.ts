import { describe, expect, it } from 'vitest';
import { apart, fittingAxis, namedSteps, placeOf } from './stepAxis';

const DOUBLED = [0, ...Array.from({ length: 13 }, (_, k) => 2 ** k)];
const TENFOLD = [1, 10, 100, 1000, 10_000, 100_000];
const FOUR = [0, 25, 100, 400];
const EVEN = Array.from({ length: 20 }, (_, k) => 50 * k);

describe('the axis of steps', () => {
  it('is logarithmic where steps are spaced so, and only there', () => {
    expect([DOUBLED, TENFOLD, FOUR].map(fittingAxis)).toEqual(['log', 'log', 'log']);
    expect(fittingAxis(EVEN)).toBe('linear');
    expect(fittingAxis([0, 25])).toBe('linear');
    expect(fittingAxis([])).toBe('linear');
  });

  it('leaves no two doubled or tenfold steps on one spot, and begins at 0', () => {
    for (const steps of [DOUBLED, TENFOLD]) {
      const places = steps.map(placeOf(steps, 'log'));
      const gaps = places.slice(1).map((place, k) => place - places[k]!);
      expect([places[0], places.at(-1)]).toEqual([0, 1]);
      expect(Math.min(...gaps)).toBeGreaterThan(1 / (3 * steps.length));
    }
    expect(placeOf(EVEN, 'linear')(475)).toBe(0.5);
  });

  it('has a place for one step alone', () => {
    expect([7].map(placeOf([7], 'log'))).toEqual([0]);
    expect([7].map(placeOf([7], 'linear'))).toEqual([0]);
  });

  it('names steps that are there, or of very many the round ones', () => {
    expect(namedSteps(DOUBLED)).toEqual(DOUBLED);
    const many = Array.from({ length: 1000 }, (_, k) => k);
    expect(namedSteps(many)).toEqual([0, 1, 2, 5, 10, 20, 50, 100, 200, 500]);
  });

  it('keeps names that have room, the last among them', () => {
    expect(apart([0, 10, 40, 52, 60], [20, 20, 20, 20, 20], 5)).toEqual([0, 4]);
    expect(apart([0, 30, 60, 90], [20, 20, 20, 20], 5)).toEqual([0, 1, 2, 3]);
  });
});

import { describe, expect, it } from 'vitest';
import type { TrendTable } from '../../api/types';
import { limitsOf, nearestStep, stepTable } from './stepTable';

function cells(values: number[], distance: boolean): TrendTable {
  const ends = distance ? { low: 0, high: null } : { low: 0, high: 1 };
  const counts = { computed: 0, found: 0, notes: [] };
  return {
    kind: 'trend',
    rows: ['conv'],
    columns: ['net@0', 'net@10', 'net@20'],
    measure: 'm',
    title: 'M',
    distance,
    partners: ['conv'],
    matching: 'names',
    reference: 'net@20',
    values: Float64Array.from(values),
    ...ends,
    ...counts,
  };
}
const steps = (ids: readonly string[]): number[] => ids.map((id) => Number(id.split('@')[1]));
const PLAIN = { way: false, fit: false };

describe('a table over steps', () => {
  it('spans the bounds of the measure, or what is there', () => {
    const of = cells([0.2, 0.6, 0.8], false);
    expect(stepTable(of, PLAIN, steps).encoding).toEqual({ low: 0, high: 1, sign: 1 });
    const stretched = stepTable(of, { way: false, fit: true }, steps);
    expect(stretched.encoding).toEqual({ low: 0.2, high: 0.8, sign: 1 });
    expect(stretched.columns).toEqual([0, 10, 20]);
  });

  it('turns distances round for the colours, and tells them as they are', () => {
    const drawn = stepTable(cells([3, 2, 0], true), PLAIN, steps);
    expect([...drawn.alike.values].map(Math.abs)).toEqual([3, 2, 0]);
    expect(drawn.alike.values[0]).toBeLessThan(drawn.alike.values[2]!);
    expect([...drawn.table.values]).toEqual([3, 2, 0]);
    const { low, high, sign } = limitsOf(drawn);
    expect([Math.abs(low), high, sign]).toEqual([0, 3, -1]);
  });

  it('shows a distance as a share of its change like a similarity', () => {
    const drawn = stepTable(cells([4, 1, 0], true), { way: true, fit: false }, steps);
    expect([...drawn.table.values].map(Math.abs)).toEqual([0, 0.75, 1]);
    expect(drawn.encoding).toEqual({ low: 0, high: 1, sign: 1 });
  });

  it('finds the nearest step', () => {
    expect(nearestStep([0, 10, 20], 14)).toBe(1);
    expect(nearestStep([0, 10, 20], undefined)).toBe(-1);
    expect(nearestStep([], 3)).toBe(-1);
  });
});

import { describe, expect, it } from 'vitest';
import { inSight, onSheet, SHEET } from './gallery';

describe('inSight', () => {
  it('draws few of many cells, wherever the reader is', () => {
    const count = 4096;
    for (const scrolled of [0, 37, 5000, 29_000]) {
      const { first, end, before, height } = inSight(count, 7, 50, scrolled, 300);
      expect(end - first).toBeLessThanOrEqual(7 * 9);
      expect(before).toBeLessThanOrEqual(scrolled);
      expect(before + Math.ceil((end - first) / 7) * 50).toBeGreaterThanOrEqual(
        Math.min(height, scrolled + 300),
      );
      expect(height).toBe(Math.ceil(count / 7) * 50);
      expect(first % 7).toBe(0);
    }
  });

  it('draws all of a few, and survives a list that became shorter', () => {
    expect(inSight(5, 7, 50, 0, 300)).toEqual({ first: 0, end: 5, before: 0, height: 50 });
    const gone = inSight(5, 7, 50, 9000, 300);
    expect(gone.first).toBeLessThanOrEqual(gone.end);
    expect(gone.end).toBe(5);
    expect(inSight(0, 7, 50, 0, 300)).toEqual({ first: 0, end: 0, before: 0, height: 0 });
  });
});

describe('onSheet', () => {
  it('gives every picture a place of its own', () => {
    const places = Array.from({ length: 150 }, (_, at) => onSheet(at, 150));
    const texts = new Set(places.map((p) => `${p.sheet} ${p.column} ${p.row}`));
    expect(texts.size).toBe(150);
    expect(places[SHEET]).toEqual({ sheet: 1, column: 0, row: 0, columns: 8, rows: 8 });
    expect(places[149]).toEqual({ sheet: 2, column: 5, row: 2, columns: 8, rows: 3 });
  });

  it('knows that a short sheet is narrow', () => {
    expect(onSheet(2, 3)).toEqual({ sheet: 0, column: 2, row: 0, columns: 3, rows: 1 });
  });
});

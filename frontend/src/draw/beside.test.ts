import { describe, expect, it } from 'vitest';
import { placeBeside, roomFor } from './beside';

function overlaps({ size, places }: ReturnType<typeof placeBeside>): boolean {
  return places.some((p, i) =>
    places.some((q, k) => k > i && p.row === q.row && Math.abs(p.x - q.x) < size - 1e-6),
  );
}

describe('pictures beside boxes', () => {
  it('stand at their boxes where these are far apart', () => {
    expect(placeBeside([100, 300, 700], 1000)).toEqual({
      size: 48,
      places: [100, 300, 700].map((x) => ({ x, row: 0 })),
    });
  });

  it('give way to both sides alike, and keep their order', () => {
    const { places } = placeBeside([500, 500, 500], 1000);
    expect(places.map(({ x }) => x)).toEqual([448, 500, 552]);
  });

  it.each([
    ['all at one edge', Array<number>(15).fill(3), 900],
    ['more than fit a row', Array.from({ length: 30 }, (_, k) => 20 + k * 25), 800],
    ['as many as there is room for', Array.from({ length: roomFor(560) }, (_, k) => k), 560],
    ['a narrow drawing', [10, 12, 14], 90],
  ])('never cover one another nor leave the drawing: %s', (_, xs, width) => {
    const placed = placeBeside(xs, width);
    expect(overlaps(placed)).toBe(false);
    for (const { x } of placed.places) {
      expect(x - placed.size / 2).toBeGreaterThanOrEqual(-1e-6);
      expect(x + placed.size / 2).toBeLessThanOrEqual(width + 1e-6);
    }
  });

  it('of none are none', () => {
    expect(placeBeside([], 500).places).toEqual([]);
  });
});

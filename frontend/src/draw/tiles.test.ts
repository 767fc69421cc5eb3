import { describe, expect, it } from 'vitest';
import { TILE, tilesOf } from './tiles';

describe('tiles', () => {
  it('cover a drawing without gaps and know what is in sight', () => {
    const tiles = tilesOf({ width: 2900, height: 300 }, 1, 900, 1000);
    expect(tiles.map((tile) => tile.left)).toEqual([0, TILE, 2 * TILE, 3 * TILE]);
    expect(tiles.reduce((sum, tile) => sum + tile.width, 0)).toBe(2900);
    expect(tiles.map((tile) => tile.seen)).toEqual([false, true, true, false]);
  });

  it('are only those near what is in sight where all would be too much', () => {
    const tiles = tilesOf({ width: 80_000, height: 500 }, 2, 40_000, 1200);
    expect(tiles.length).toBeLessThan(6);
    expect(tiles.filter((tile) => tile.seen).length).toBeGreaterThan(1);
  });
});

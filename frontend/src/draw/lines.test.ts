import { describe, expect, it } from 'vitest';
import { CROSSED } from '../align/fixture';
import { nearestLine, type Scene } from './lines';

describe('the line that is pointed at', () => {
  const at = (y: number) => (x: number) => ({ x, y });
  const scene: Scene = {
    table: CROSSED,
    rows: [100, 200, 300].map(at(90)),
    columns: [150, 700, 900].map(at(410)),
    gap: { top: 100, bottom: 400 },
    encoding: { low: 0, high: 1, sign: 1 },
  };
  const pairs = Uint32Array.from(CROSSED.values.keys());

  it('is that whose curve passes there', () => {
    for (const pair of pairs) {
      const [from, to] = [scene.rows[Math.floor(pair / 3)]!, scene.columns[pair % 3]!];
      // A point of the curve that `trace` draws, a little beside it.
      const t = 0.4;
      const [s, b] = [1 - t, 135];
      const mix = (p: number, q: number, r: number, u: number): number =>
        s ** 3 * p + 3 * s * s * t * q + 3 * s * t * t * r + t ** 3 * u;
      const x = mix(from.x, from.x, to.x, to.x);
      const y = mix(100, 100 + b, 400 - b, 400);
      expect(nearestLine(scene, pairs, x + 1, y)).toBe(pair);
    }
  });

  it('is none where there is none, or outside of the room for lines', () => {
    expect(nearestLine(scene, pairs, 40, 250)).toBeNull();
    expect(nearestLine(scene, pairs, 100, 95)).toBeNull();
    expect(nearestLine(scene, new Uint32Array(), 100, 101)).toBeNull();
  });
});

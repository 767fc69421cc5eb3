import { expect, it } from 'vitest';
import { table } from '../../align/fixture';
import type { PlacedBox } from '../../layout/place';
import { glowOf } from './lit';

it('lights a box without a value, as that of a layer beside itself, in a real colour', () => {
  const boxes = { a: [{} as PlacedBox], b: [{} as PlacedBox] };
  const lit = Uint32Array.of(0);
  const glow = glowOf(table([[NaN]]), lit, 'a', boxes, { low: 0, high: 1, sign: 1 });
  expect(glow.map(({ strength }) => strength)).toEqual([0.6]);
});

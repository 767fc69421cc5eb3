import { describe, expect, it } from 'vitest';
import { shiftOf } from './zoom';

describe('a stretched drawing', () => {
  const seen = { scale: 2, x: 300, at: 100, scrolled: 200, viewport: 400, width: 1000 };

  it('shows what is looked at where it was', () => {
    const shift = shiftOf(seen);
    expect(seen.scale * seen.x + shift - seen.scrolled).toBe(seen.at);
  });

  it('leaves no empty room beside it, and so keeps how far it is scrolled', () => {
    for (const scale of [0.4, 0.6, 1, 3]) {
      for (const x of [0, 200, 600, 1000]) {
        const shift = shiftOf({ ...seen, scale, x });
        expect(shift).toBeLessThanOrEqual(seen.scrolled);
        expect(shift + scale * seen.width).toBeGreaterThanOrEqual(seen.scrolled + seen.viewport);
      }
    }
  });
});

import { describe, expect, it } from 'vitest';
import { LETTER, wrap } from './wrap';

describe('lines of a caption', () => {
  it('hold every word and are never too wide', () => {
    const text = `Mean CCA of ${'n'.repeat(90)} and others, over 240 rows of one probe.`;
    const lines = wrap(text, 200, 10);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
    for (const line of lines) expect(line.length * 10 * LETTER).toBeLessThanOrEqual(200);
    expect(wrap('', 200, 10)).toEqual([]);
  });
  it('keeps a number with its unit', () => {
    const lines = wrap('by intervals of 95\u00a0% each', 18 * LETTER, 1);
    expect(lines.some((line) => line.includes('95\u00a0%'))).toBe(true);
    expect(lines.some((line) => /95$|^%/.test(line))).toBe(false);
  });
});

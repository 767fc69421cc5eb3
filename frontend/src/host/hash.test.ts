import { describe, expect, it } from 'vitest';
import { formatHash, parseHash } from './hash';

describe('the address', () => {
  it('reads the tab and its parameters', () => {
    expect(parseHash('#modelcompare&a=run%2Fnet%400&layer=x%26y')).toEqual({
      tab: 'modelcompare',
      parameters: { a: 'run/net@0', layer: 'x&y' },
    });
  });

  it('survives a broken escape', () => {
    expect(parseHash('#modelcompare&a=%E0%A4%A').parameters.a).toBe('%E0%A4%A');
  });

  it("leaves TensorBoard's own parameters alone", () => {
    const hash = formatHash('#modelcompare&runFilter=x&a=old&layer=gone', { a: 'new' }, [
      'a',
      'layer',
    ]);
    expect(hash).toBe('#modelcompare&runFilter=x&a=new');
  });
});

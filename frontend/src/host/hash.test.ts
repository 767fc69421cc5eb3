import { describe, expect, it } from 'vitest';
import { OWNED_KEYS, readView, writeView } from '../state/address';
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
    const hash = formatHash('#modelcompare&runFilter=x&a=old&layer=gone', { a: 'new' }, OWNED_KEYS);
    expect(hash).toBe('#modelcompare&runFilter=x&a=new');
  });

  it('restores the view that it was written from', () => {
    const view = readView({
      a: 'r/n@3',
      b: 'r/m@0',
      measure: 'linear_cka',
      side: 'b',
      layer: 'conv 1/&,=',
      unit: '7',
      view: 'both',
      scale: 'rank',
      lines: 'path',
      min: '0.25',
      foldA: 'x%2Cy,z',
    });
    expect(view.folded.a).toEqual(['x,y', 'z']);
    expect(readView(writeView(view))).toEqual(view);
  });

  it('makes a view of whatever is in the address', () => {
    const view = readView({
      unit: '-1',
      top: '9999',
      min: 'NaN',
      view: '<b>',
      scale: '',
      layer: 'x',
    });
    expect(view.unit).toBeNull();
    expect(view.top).toBe(20);
    expect(view.threshold).toBeNull();
    expect(view.pane).toBe('graph');
  });
});

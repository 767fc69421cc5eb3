import { describe, expect, it } from 'vitest';
import { OWNED_KEYS, readView, writeView } from './address';

/** As version 0.1.0 wrote it, with every key that it had. */
const PERMALINK = {
  a: 'r/n@3',
  b: 'r/m@0',
  measure: 'linear_cka',
  side: 'b',
  layer: 'conv 1/&,=',
  unit: '7',
  view: 'training',
  scale: 'rank',
  lines: 'path',
  top: '3',
  min: '0.25',
  foldA: 'x%2Cy,z',
  foldB: 'w',
  openA: 'v',
  openB: 'u,t',
  image: '12',
  graphs: 'a',
  ref: 'r/m@9',
  with: 'conv 2',
  freeze: '0.8',
  way: '1',
  per: 'all',
  metric: 'procrustes_angle',
};

describe('the address', () => {
  it('opens a permalink of version 0.1.0, and writes it again', () => {
    const view = readView(PERMALINK);
    expect(view).toEqual({
      a: 'r/n@3',
      b: 'r/m@0',
      measure: 'linear_cka',
      selection: { side: 'b', layer: 'conv 1/&,=' },
      unit: 7,
      pair: null,
      pane: 'training',
      scale: 'rank',
      rule: 'path',
      top: 3,
      threshold: 0.25,
      folded: { a: ['x,y', 'z'], b: ['w'] },
      unfolded: { a: ['v'], b: ['u', 't'] },
      image: 12,
      more: [],
      seeds: [],
      graphs: 'a',
      reference: 'r/m@9',
      filter: null,
      partner: 'conv 2',
      freeze: 0.8,
      way: true,
      axis: null,
      per: 'all',
      metric: 'procrustes_angle',
    });
    expect(writeView(view)).toEqual(PERMALINK);
    // Keys that came later are not in it.
    const known = new Set([...Object.keys(PERMALINK), 'pair', 'axis', 'filter', 'more', 'seeds']);
    expect(new Set(OWNED_KEYS)).toEqual(known);
  });

  it('holds nothing of what nobody chose', () => {
    expect(writeView(readView({}))).toEqual({});
  });

  it('holds added models and other seeds, whatever their names', () => {
    const view = readView({});
    view.more = ['run, one/net@3', 'b&c/net@0'];
    view.seeds = ['seed, two/net@3'];
    expect(readView(writeView(view)).more).toEqual(view.more);
    expect(readView(writeView(view)).seeds).toEqual(view.seeds);
  });

  it('does not share lists between two views', () => {
    readView({}).folded.a.push('block');
    expect(readView({}).folded.a).toEqual([]);
  });

  it('has no unit without a layer', () => {
    expect(readView({ unit: '3' }).unit).toBeNull();
    expect(readView({ unit: '3', layer: 'x' }).selection).toEqual({ side: 'a', layer: 'x' });
  });

  it('knows a photo of the probe from one of your own', () => {
    const digest = '0123456789abcdef'.repeat(4);
    expect(readView({ image: digest }).image).toBe(digest);
    expect(readView({ image: 'http://elsewhere' }).image).toBeNull();
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

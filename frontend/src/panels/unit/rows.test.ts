import { describe, expect, it } from 'vitest';
import type { JobItem, SnapshotInfo } from '../../api/types';
import { shortNames } from '../../layout/names';
import { columnsOf, evenly, rowsOf, type Model } from './rows';

function model(id: string, ...layers: string[]): Model {
  const snapshot = { id, name: id } as SnapshotInfo;
  return { snapshot, side: null, layers, short: shortNames(layers, 22) };
}
function item(layer: string, correlation: number | null): JobItem {
  return { layer, drawn: correlation === null ? null : { correlation } } as JobItem;
}

describe('rows of analogies', () => {
  const models = [model('a', 'a1'), model('b', 'b1', 'b2', 'b3'), model('c', 'c1')];
  const items = [
    item('unit', null),
    item('b1', 0.2),
    item('b2', null),
    item('b3', 0.9),
    item('c1', 0.1),
    item('a1', 0.4),
  ];
  const layers = (order: 'depth' | 'number'): string[][] =>
    rowsOf(models, items, order).map((row) => row.items.map((one) => one.layer));

  it('begin with the model of the unit', () => {
    expect(layers('depth')).toEqual([['unit', 'a1'], ['b1', 'b2', 'b3'], ['c1']]);
  });
  it('sorted by number, have those without one last', () => {
    expect(layers('number')).toEqual([['unit', 'a1'], ['b3', 'b1', 'b2'], ['c1']]);
  });
  it('are there before the pictures are', () => {
    expect(rowsOf(models, [], 'depth').map((row) => row.items)).toEqual([[], [], []]);
  });
});

describe('some of the layers', () => {
  const names = Array.from({ length: 10 }, (_, k) => `${k}`);
  it('are spread from the first to the last', () => {
    expect(evenly(names, 4)).toEqual(['0', '3', '6', '9']);
    expect(evenly(names, 1)).toEqual(['0']);
    expect(evenly(names, Infinity)).toEqual(names);
    expect(evenly([], 6)).toEqual([]);
  });
});

describe('columns of pictures', () => {
  const columns = (count: number, most: number): number =>
    columnsOf(count, most * 114 - 10, 104, 10);

  it('leave none alone where more fit in a row than would follow', () => {
    expect(columns(12, 9)).toBe(6);
    expect(columns(13, 12)).toBe(7);
    expect(columns(9, 4)).toBe(3);
    expect(columns(12, 12)).toBe(12);
  });
  it('are one at least', () => {
    expect(columnsOf(5, 0, 104, 10)).toBe(1);
    expect(columnsOf(0, 500, 104, 10)).toBe(1);
  });
  it('are at most what fits', () => {
    for (let most = 1; most < 14; most++)
      for (let count = 1; count < 40; count++) {
        const found = columns(count, most);
        expect(found).toBeLessThanOrEqual(most);
        expect(Math.ceil(count / found)).toBe(Math.ceil(count / most));
      }
  });
});

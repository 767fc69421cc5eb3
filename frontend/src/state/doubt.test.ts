import { describe, expect, it } from 'vitest';
import { node } from '../layout/fixture';
import { cellsPath } from '../draw/hatch';
import { biasedLayers, doubtOf, doubtOfAll, markOf, markOfLayer, spreadOut } from './doubt';

describe('layers of which a measure says little', () => {
  const nodes = [16, 17, 400, null].map((units, k) => node(`layer${k}`, [], { units }));
  const graph = { version: 1, nodes, blocks: [] };
  const layers = nodes.map(({ name }) => name).concat('unknown');

  it('have too few rows for their units, and the measure declares its bias', () => {
    const wants = { wants_rows_over_units: true, rows_per_unit: 1 };
    expect(biasedLayers(layers, wants, graph, 16)).toEqual([false, true, true, false, false]);
    expect(biasedLayers(layers, wants, graph, 1000)).not.toContain(true);
    const twelve = { ...wants, rows_per_unit: 12 };
    expect(biasedLayers(layers, twelve, graph, 192)).toEqual([false, true, true, false, false]);
    const always = { ...wants, rows_per_unit: null };
    expect(biasedLayers(layers, always, graph, 9999)).toEqual([true, true, true, false, false]);
    const never = { wants_rows_over_units: false, rows_per_unit: 0 };
    expect(biasedLayers(layers, never, graph, 16)).not.toContain(true);
    expect(biasedLayers(layers, null, graph, 16)).not.toContain(true);
    expect(biasedLayers(layers, wants, null, null)).not.toContain(true);
  });
});

describe('pairs that the measure cannot tell', () => {
  const pValues = Float64Array.of(0.05, 1, 0.1, NaN, 0.05, 0.2);
  const none = { a: [false, false], b: [false, false, false] };

  it('are those of a biased layer, and those that permuted images reach', () => {
    const doubts = { biased: { ...none, b: [false, true, false] }, pValues };
    const of = [0, 1].map((row) => [0, 1, 2].map((column) => doubtOf(doubts, row, column)));
    expect(of).toEqual([
      [null, 'rows', 'null'],
      [null, 'rows', 'null'],
    ]);
    expect(doubtOf({ biased: none, pValues: null }, 0, 1)).toBeNull();
  });

  it('make a doubtful layer where they are all that there is of it', () => {
    const doubts = { biased: none, pValues, all: null };
    expect([0, 1].map((row) => markOfLayer(doubts, 'a', row))).toEqual([null, null]);
    const columns = [0, 1, 2].map((column) => markOfLayer(doubts, 'b', column));
    expect(columns).toEqual([null, null, 'null']);
    const biased = { ...none, a: [true, false] };
    expect(markOfLayer({ ...doubts, biased }, 'a', 0)).toBe('rows');
    expect(markOfLayer({ ...doubts, pValues: null }, 'a', 0)).toBeNull();
    const nothing = Float64Array.from({ length: 6 }, () => NaN);
    expect(markOfLayer({ ...doubts, pValues: nothing }, 'a', 0)).toBeNull();
  });

  it('are not marked where they are all that there is, for one reason', () => {
    const high = Float64Array.of(0.2, 1, 0.1, NaN, 0.3, 0.2);
    expect(doubtOfAll({ biased: none, pValues: high }, [1, 2, 3, NaN, 4, 5])).toBe('null');
    expect(doubtOfAll({ biased: none, pValues }, [1, 2, 3, NaN, 4, 5])).toBeNull();
    expect(doubtOfAll({ biased: none, pValues: null }, [1, 2, 3, NaN, 4, 5])).toBeNull();
    const biased = { ...none, a: [true, false] };
    expect(doubtOfAll({ biased, pValues: null }, [1, 2, 3, NaN, NaN, NaN])).toBe('rows');
    expect(doubtOfAll({ biased, pValues: high }, [1, 2, 3, NaN, 4, 5])).toBeNull();
    expect(doubtOfAll({ biased: none, pValues: high }, [])).toBeNull();
    const doubts = { biased: none, pValues: high, all: 'null' } as const;
    expect(doubtOf(doubts, 0, 0)).toBe('null');
    expect(markOf(doubts, 0, 0)).toBeNull();
    expect(markOfLayer(doubts, 'a', 0)).toBeNull();
    expect(markOf({ ...doubts, all: null }, 0, 0)).toBe('null');
  });

  it('are asked of some layers, and found where these stand among all', () => {
    const part = { rows: ['r', 'p'], columns: ['z'], values: [0.4, 0.6] };
    expect([...spreadOut(part, ['p', 'q', 'r'], ['y', 'z'])]).toEqual([
      NaN,
      0.6,
      NaN,
      NaN,
      NaN,
      0.4,
    ]);
  });

  it('are outlined, neighbours in a row as one', () => {
    const is = (row: number, column: number): boolean => row === column || column === 1;
    const path = cellsPath(2, 3, is, { left: 10, top: 20, wide: 5, tall: 4 });
    expect(path).toBe('M10 20h10v4h-10zM15 24h5v4h-5z');
  });
});

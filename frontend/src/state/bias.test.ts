import { describe, expect, it } from 'vitest';
import { node } from '../layout/fixture';
import { biasedLayers } from './bias';

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

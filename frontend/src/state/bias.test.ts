import { describe, expect, it } from 'vitest';
import { node } from '../layout/fixture';
import { biasedLayers } from './bias';

describe('layers of which a measure says little', () => {
  const nodes = [16, 17, 400, null].map((units, k) => node(`layer${k}`, [], { units }));
  const graph = { version: 1, nodes, blocks: [] };
  const layers = nodes.map(({ name }) => name).concat('unknown');

  it('have more units than rows, and the measure declares its bias', () => {
    const wants = { wants_rows_over_units: true };
    expect(biasedLayers(layers, wants, graph, 16)).toEqual([false, true, true, false, false]);
    expect(biasedLayers(layers, wants, graph, 1000)).not.toContain(true);
    expect(biasedLayers(layers, { wants_rows_over_units: false }, graph, 16)).not.toContain(true);
    expect(biasedLayers(layers, null, graph, 16)).not.toContain(true);
    expect(biasedLayers(layers, wants, null, null)).not.toContain(true);
  });
});

import type { GraphNode, LayerGraph } from '../api/types';

/** Small graphs with the shapes of real networks, for the tests of layout and drawing. */

export function node(name: string, inputs: string[], more: Partial<GraphNode> = {}): GraphNode {
  return {
    name,
    op: 'Conv2D',
    kind: 'conv',
    group: null,
    inputs,
    shape: [8, 8, 16],
    units: 16,
    logged: true,
    label: name,
    ...more,
  };
}

export function chain(...names: string[]): LayerGraph {
  return {
    version: 1,
    nodes: names.map((name, index) => node(name, index ? [names[index - 1]!] : [])),
    blocks: [],
  };
}

/** Modules of four branches that meet in a concatenation, as in GoogLeNet. */
export function inceptions(count: number): LayerGraph {
  const nodes = [node('stem', [])];
  const blocks: LayerGraph['blocks'] = [];
  let before = 'stem';
  for (let k = 0; k < count; k++) {
    const m = `inception_${k}`;
    const inside = [
      node(`${m}_1x1`, [before]),
      node(`${m}_3x3_reduce`, [before]),
      node(`${m}_3x3`, [`${m}_3x3_reduce`]),
      node(`${m}_5x5_reduce`, [before]),
      node(`${m}_5x5`, [`${m}_5x5_reduce`]),
      node(`${m}_pool`, [before], { op: 'MaxPooling2D', kind: 'pool' }),
      node(`${m}_pool_proj`, [`${m}_pool`]),
      node(`${m}_output`, [`${m}_1x1`, `${m}_3x3`, `${m}_5x5`, `${m}_pool_proj`], {
        op: 'Concatenate',
        kind: 'concat',
      }),
    ];
    nodes.push(...inside);
    blocks.push({
      name: m,
      kind: 'inception',
      nodes: inside.map((n) => n.name),
      output: `${m}_output`,
      parent: null,
    });
    before = `${m}_output`;
  }
  return { version: 1, nodes, blocks };
}

/** Blocks of two convolutions around which the input is added, as in ResNet. */
export function residuals(count: number): LayerGraph {
  const nodes = [node('stem', [])];
  const blocks: LayerGraph['blocks'] = [];
  let before = 'stem';
  for (let k = 0; k < count; k++) {
    const m = `block${k}`;
    const inside = [
      node(`${m}_a`, [before]),
      node(`${m}_a_relu`, [`${m}_a`], { op: 'ReLU', kind: 'activation', group: `${m}_a` }),
      node(`${m}_b`, [`${m}_a_relu`]),
      node(`${m}_add`, [`${m}_b`, before], { op: 'Add', kind: 'add' }),
    ];
    nodes.push(...inside);
    blocks.push({
      name: m,
      kind: 'residual',
      nodes: inside.map((n) => n.name),
      output: `${m}_add`,
      parent: null,
    });
    before = `${m}_add`;
  }
  return { version: 1, nodes, blocks };
}

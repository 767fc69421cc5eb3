import { describe, expect, it } from 'vitest';
import { arrange } from './arrange';
import { condense } from './condense';
import { chain, inceptions, node, residuals } from './fixture';
import { place, type Layout, type PlacedBox } from './place';
import { readTree } from './tree';

const NOTHING = new Set<string>();

function box(layout: Layout, label: string): PlacedBox {
  const found = layout.boxes.find((candidate) => candidate.nodes.includes(label));
  if (!found) throw new Error(`no box holds ${label}`);
  return found;
}

function overlap(p: PlacedBox, q: PlacedBox): boolean {
  return (
    Math.abs(p.x - q.x) < (p.width + q.width) / 2 && Math.abs(p.y - q.y) < (p.height + q.height) / 2
  );
}

function expectClean(layout: Layout): void {
  for (const [index, p] of layout.boxes.entries()) {
    for (const q of layout.boxes.slice(index + 1)) {
      expect(overlap(p, q), `${p.label} overlaps ${q.label}`).toBe(false);
    }
    expect(p.x - p.width / 2).toBeGreaterThanOrEqual(0);
    expect(p.x + p.width / 2).toBeLessThanOrEqual(layout.width);
    expect(p.y - p.height / 2).toBeGreaterThanOrEqual(0);
    expect(p.y + p.height / 2).toBeLessThanOrEqual(layout.height);
  }
  for (const edge of layout.edges) {
    const [from, to] = [edge.from, edge.to].map((id) => layout.boxes.find((b) => b.id === id)!);
    expect(from!.x, `${edge.from} is left of ${edge.to}`).toBeLessThan(to!.x);
  }
}

describe('condense', () => {
  it('draws a convolution and its activation as one box that speaks for both', () => {
    const { boxes } = condense(residuals(1), NOTHING);
    const merged = boxes.find((b) => b.nodes.includes('block0_a'))!;
    expect(merged.nodes).toEqual(['block0_a', 'block0_a_relu']);
    expect(merged.layers).toEqual(['block0_a', 'block0_a_relu']);
    expect(merged.label).toBe('block0_a_relu');
    expect(boxes.find((b) => b.nodes.includes('block0_b'))!.inputs).toEqual([merged.id]);
  });

  it('draws a collapsed block as one box with all of its layers', () => {
    const { boxes, frames } = condense(inceptions(2), new Set(['inception_0']));
    const collapsed = boxes.find((b) => b.block === 'inception_0')!;
    expect(collapsed.layers).toHaveLength(8);
    expect(collapsed.inputs).toEqual(['node:stem']);
    expect(frames.map((frame) => frame.name)).toEqual(['inception_1']);
  });

  it('takes apart a block whose collapse would make a cycle', () => {
    const graph = chain('a', 'b', 'c');
    graph.blocks.push({ name: 'odd', kind: 'group', nodes: ['a', 'c'], output: 'c', parent: null });
    const { boxes } = condense(graph, new Set(['odd']));
    expect(boxes.map((b) => b.label)).toEqual(['a', 'b', 'c']);
  });

  it('passes through what was not logged, but keeps the edge', () => {
    const graph = chain('a', 'b', 'c');
    graph.nodes[1] = node('b', ['a'], { kind: 'other', logged: false });
    const { boxes } = condense(graph, NOTHING);
    expect(boxes.map((b) => b.label)).toEqual(['a', 'c']);
    expect(boxes[1]!.inputs).toEqual(['node:a']);
  });

  it('refuses a graph with a cycle instead of drawing part of it', () => {
    const graph = { version: 1, nodes: [node('a', ['b']), node('b', ['a'])], blocks: [] };
    expect(() => condense(graph, NOTHING)).toThrow(/cycle/);
  });
});

describe('readTree', () => {
  it('finds the branches of an inception module', () => {
    const tree = readTree(condense(inceptions(1), NOTHING).boxes);
    if (tree.type !== 'series') throw new Error(tree.type);
    expect(tree.parts.map((part) => part.type)).toEqual(['box', 'parallel', 'box']);
    const module = tree.parts[1]!;
    expect(module.type === 'parallel' && module.branches.length).toBe(4);
  });

  it('finds what a residual connection goes around', () => {
    const tree = readTree(condense(residuals(1), NOTHING).boxes);
    const block = tree.type === 'series' ? tree.parts[1]! : tree;
    expect(block.type === 'parallel' && block.skips).toEqual([
      { from: 'node:stem', to: 'node:block0_add' },
    ]);
  });
});

describe('place', () => {
  it.each([
    ['a chain', chain('a', 'b', 'c', 'd')],
    ['nine inception modules', inceptions(9)],
    ['sixteen residual blocks', residuals(16)],
  ])('lays out %s without overlap, from left to right', (_, graph) => {
    expectClean(place(graph, NOTHING, 930, 1));
  });

  it('lays out a graph of no known shape in columns', () => {
    const names = Array.from({ length: 12 }, (_, i) => `n${i}`);
    const nodes = names.map((name, i) =>
      node(
        name,
        names.filter((_, j) => j < i && (i * 7 + j * 3) % 4 === 0),
      ),
    );
    expectClean(place({ version: 1, nodes, blocks: [] }, NOTHING, 600, 1));
  });

  it('fills the width that there is', () => {
    const layout = place(inceptions(9), NOTHING, 1200, 1);
    expect(layout.width).toBeCloseTo(1200);
    const right = Math.max(...layout.boxes.map((b) => b.x + b.width / 2));
    expect(right).toBeGreaterThan(1150);
  });

  it('stacks the branches of a module above one another', () => {
    const layout = place(inceptions(1), NOTHING, 600, 1);
    const ys = ['1x1', '3x3', '5x5', 'pool_proj'].map((b) => box(layout, `inception_0_${b}`).y);
    expect(new Set(ys).size).toBe(4);
    expect(box(layout, 'stem').y).toBeCloseTo(box(layout, 'inception_0_output').y);
  });

  it('frames a block around its boxes and no others', () => {
    const layout = place(inceptions(3), NOTHING, 900, 1);
    for (const frame of layout.frames) {
      for (const b of layout.boxes) {
        const inside =
          b.x > frame.left && b.x < frame.right && b.y > frame.top && b.y < frame.bottom;
        expect(inside, `${b.label} in ${frame.name}`).toBe(frame.boxes.includes(b.id));
      }
    }
  });
});

describe('arrange', () => {
  const request = { folded: [], unfolded: [], zoom: 1 };

  it('shows everything where there is room', () => {
    const layout = arrange({ ...request, graph: inceptions(9), width: 930 });
    expect(layout.frames).toHaveLength(9);
  });

  it('folds blocks where there is not', () => {
    const layout = arrange({ ...request, graph: inceptions(40), width: 930 });
    expect(layout.frames).toHaveLength(0);
    expect(layout.boxes).toHaveLength(41);
  });

  it('keeps what the reader folded or unfolded', () => {
    const folded = arrange({
      ...request,
      graph: inceptions(3),
      width: 930,
      folded: ['inception_1'],
    });
    expect(folded.frames.map((f) => f.name)).toEqual(['inception_0', 'inception_2']);
    const unfolded = arrange({
      ...request,
      graph: inceptions(40),
      width: 930,
      unfolded: ['inception_7'],
    });
    expect(unfolded.frames.map((f) => f.name)).toEqual(['inception_7']);
  });

  it('lays out a thousand layers', () => {
    const names = Array.from({ length: 1000 }, (_, i) => `layer${i}`);
    const layout = arrange({ ...request, graph: chain(...names), width: 930 });
    expect(layout.boxes).toHaveLength(1000);
    expect(layout.width).toBeGreaterThan(930);
  });
});

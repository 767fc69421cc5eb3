import { describe, expect, it } from 'vitest';
import { chain, inceptions } from '../layout/fixture';
import { place } from '../layout/place';
import { placeLabels } from './labels';

const NOTHING = new Set<string>();

describe('labels', () => {
  it('are whole names where these fit, else what tells blocks apart', () => {
    const names = (width: number, word: string): string[] => {
      const graph = inceptions(9);
      for (const block of graph.blocks) block.name = block.name.replace('inception_', word);
      return placeLabels(place(graph, NOTHING, width, 1)).flatMap((label) =>
        label.block === null ? [] : [label.text],
      );
    };
    const all = (word: string): string[] => Array.from({ length: 9 }, (_, k) => `${word}${k}`);
    expect(names(1000, 'inception_')).toEqual(all('inception_'));
    expect(names(700, 'inception_')).toEqual(all(''));
    expect(names(700, 'inceptions')).toEqual(all(''));
    expect(names(1000, 'net_encoder_block_')).toEqual(all('block_'));
  });

  it('do not overlap and name every block', () => {
    const layout = place(inceptions(9), NOTHING, 1000, 1);
    const labels = placeLabels(layout);
    expect(labels.filter((l) => l.block !== null).map((l) => l.text)).toEqual(
      Array.from({ length: 9 }, (_, k) => `inception_${k}`),
    );
    const sorted = [...labels].sort((p, q) => p.x - q.x);
    for (const [index, label] of sorted.slice(1).entries()) {
      const before = sorted[index]!;
      const room = ((label.text.length + before.text.length) / 2) * 5.5;
      expect(label.x - before.x, `${before.text} and ${label.text}`).toBeGreaterThan(room);
    }
  });

  it('stand in a second row, and lose their first word, before a block has none', () => {
    const cells = ['stem', 'normal_1', 'reduction_wide_1', 'normal_2', 'reduction_wide_2'];
    const graph = {
      ...chain(...cells),
      blocks: cells.map((name) => ({
        name,
        kind: 'inception',
        nodes: [name],
        output: name,
        parent: null,
      })),
    };
    const labels = placeLabels(place(graph, new Set(cells), 320, 1));
    expect(labels.every((label) => label.text !== '')).toBe(true);
    expect(new Set(labels.map((label) => label.row)).size).toBe(2);
    const texts = labels.map((label) => label.text);
    expect(texts).toContain('normal_1');
    expect(texts.some((text) => text.startsWith('wide_'))).toBe(true);
    for (const row of [0, 1]) {
      const beside = labels.filter((label) => label.row === row).sort((p, q) => p.x - q.x);
      for (const [index, label] of beside.slice(1).entries()) {
        const before = beside[index]!;
        const room = ((label.text.length + before.text.length) / 2) * 5.5;
        expect(label.x - before.x, `${before.text} and ${label.text}`).toBeGreaterThan(room);
      }
    }
  });

  it('of blocks in a stage leave out what the stage says, and stay apart', () => {
    const blocks = ['conv2', 'conv3'].flatMap((stage) =>
      [1, 2].map((k) => ({ stage, name: `${stage}_block${k}` })),
    );
    const names = blocks.map((block) => [`${block.name}_a`, `${block.name}_b`]);
    const graph = {
      ...chain(...names.flat()),
      blocks: [
        ...['conv2', 'conv3'].map((stage) => ({
          name: stage,
          kind: 'stage',
          nodes: blocks.flatMap((b, k) => (b.stage === stage ? names[k]! : [])),
          output: `${stage}_block2_b`,
          parent: null,
        })),
        ...blocks.map((block, k) => ({
          name: block.name,
          kind: 'residual',
          nodes: names[k]!,
          output: names[k]![1]!,
          parent: block.stage,
        })),
      ],
    };
    const texts = (width: number, of = graph): string[] =>
      placeLabels(place(of, NOTHING, width, 1))
        .filter((l) => l.block !== null)
        .map((l) => l.text);
    expect(texts(600).sort()).toEqual(['block1', 'block1', 'block2', 'block2', 'conv2', 'conv3']);
    const parts = structuredClone(graph);
    for (const block of parts.blocks) block.name = block.name.replace(/_block(.)/, ' ($1)');
    expect(texts(600, parts).sort()).toEqual(['(1)', '(1)', '(2)', '(2)', 'conv2', 'conv3']);
    const labels = placeLabels(place(graph, NOTHING, 120, 1)).filter((l) => l.row === 0);
    expect(labels.filter((l) => l.block !== null)).toHaveLength(4); // marks at least
  });

  it('of folded blocks stand beside their drawing, those of stages in the row beyond', () => {
    const [stages, perStage] = [
      ['conv2', 'conv3', 'conv4'],
      [1, 2, 3, 4, 5],
    ];
    const names = stages.map((stage) => perStage.map((k) => `${stage}_block${k}`));
    const graph = {
      ...chain(...names.flat().flatMap((name) => [`${name}_a`, `${name}_b`])),
      blocks: stages.flatMap((stage, at) => {
        const nodes = (all: string[]): string[] => all.flatMap((b) => [`${b}_a`, `${b}_b`]);
        const block = (name: string, kind: string, of: string[], parent: string | null) => ({
          ...{ name, kind, nodes: nodes(of), parent, output: `${of.at(-1)!}_b` },
        });
        return [
          block(stage, 'stage', names[at]!, null),
          ...names[at]!.map((name) => block(name, 'residual', [name], stage)),
        ];
      }),
    };
    const texts = (width: number): string[][] => {
      const labels = placeLabels(place(graph, new Set(names.flat()), width, 1));
      return [0, 1].map((row) =>
        labels
          .filter((label) => label.row === row)
          .sort((p, q) => p.x - q.x)
          .map((label) => label.text),
      );
    };
    const all = (word: string): string[] => stages.flatMap(() => perStage.map((k) => word + k));
    expect(texts(1600)).toEqual([all('block'), stages]);
    // All alike, instead of every second one.
    expect(texts(500)).toEqual([all(''), stages]);
  });

  it('of which one is too long for its block stand in one row with the others', () => {
    const cells = ['net_conv', ...Array.from({ length: 12 }, (_, k) => `net_conv_${k + 1}`)];
    const graph = {
      ...chain(...cells),
      blocks: cells.map((name) => ({
        ...{ name, kind: 'residual', nodes: [name], output: name, parent: null },
      })),
    };
    const labels = placeLabels(place(graph, new Set(cells), 420, 1));
    expect(new Set(labels.map((label) => label.row))).toEqual(new Set([0]));
    expect(labels.map((label) => label.text).slice(0, 4)).toEqual(['conv', '1', '2', '3']);
  });

  it('of two blocks in each of many stand in two rows where one has no room for both', () => {
    const outer = Array.from({ length: 12 }, (_, k) => `encoder_block_${k}`);
    const parts = outer.flatMap((name) => [`${name}/self_attention`, `${name}/mlp`]);
    const nodes = (part: string): string[] => ['in', 'out'].map((end) => `${part}/${end}`);
    const graph = {
      ...chain(...parts.flatMap(nodes)),
      blocks: [
        ...outer.map((name) => ({
          ...{ name, kind: 'stage', parent: null, output: `${name}/mlp/out` },
          nodes: parts.filter((part) => part.startsWith(`${name}/`)).flatMap(nodes),
        })),
        ...parts.map((name) => ({
          ...{ name, kind: 'residual', nodes: nodes(name), output: `${name}/out` },
          parent: name.slice(0, name.lastIndexOf('/')),
        })),
      ],
    };
    const labels = placeLabels(place(graph, new Set(parts), 1000, 1));
    const inRow = (row: number): Set<string> =>
      new Set(labels.filter((l) => l.block !== null && l.row === row).map(({ text }) => text));
    expect(inRow(0)).toEqual(new Set(['mlp']));
    expect(inRow(1)).toContain('attention');
    expect([...inRow(1)].every((text) => text.startsWith('att'))).toBe(true);
    expect(inRow(2).size).toBe(12);
  });
});

import { describe, expect, it } from 'vitest';
import type { LayerGraph } from '../api/types';
import { arrange } from './arrange';
import { chain } from './fixture';
import { namesOfBlocks } from './parts';

/** Blocks of a transformer, whose two parts the logs only number. */
function transformer(count: number, inside: readonly (readonly string[])[]): LayerGraph {
  const named = Array.from({ length: count }, (_, k) =>
    inside.map((part) => part.map((name) => `encoder_${k}${name}`)),
  );
  return {
    ...chain(...named.flat(2)),
    blocks: named.flatMap((parts, k) => {
      const name = `encoder_${k}`;
      const block = (name: string, kind: string, nodes: string[], parent: string | null) => ({
        ...{ name, kind, nodes, parent, output: nodes.at(-1)! },
      });
      const numbered = parts.map((part, at) =>
        block(`${name} (${at + 2})`, 'residual', part, name),
      );
      const inner = parts.map((part, at) =>
        part
          .filter((node) => node.includes('/mlp/'))
          .map((_, __, all) => block(`${name}/mlp`, 'group', all, `${name} (${at + 2})`)),
      );
      return [
        block(name, 'group', parts.flat(), null),
        ...numbered,
        ...inner.map((all) => all.slice(0, 1)).flat(),
      ];
    }),
  };
}

const VIT = [
  ['/ln_1', '/self_attention', '/add_1'],
  ['/ln_2', '/mlp/dense_0', '/mlp/dense_1', '/add_2'],
];

describe('parts of a block', () => {
  const graph = transformer(3, VIT);

  it('are called by what they have and the rest of the block has not', () => {
    const names = namesOfBlocks(graph);
    expect(names.get('encoder_1')).toBe('encoder_1');
    expect(names.get('encoder_1 (2)')).toBe('encoder_1/self_attention');
    expect(names.get('encoder_1 (3)')).toBe('encoder_1/mlp');
  });

  it('keep their numbers where no word tells them apart', () => {
    const alike = namesOfBlocks(
      transformer(2, [
        ['/conv_1', '/add_1'],
        ['/conv_2', '/add_2'],
      ]),
    );
    expect(alike.get('encoder_0 (2)')).toBe('encoder_0 (2)');
    const words = namesOfBlocks(transformer(2, [['_block1_conv'], ['_block2_conv']]));
    expect(words.get('encoder_0 (3)')).toBe('encoder_0 (3)');
  });

  it('are drawn as blocks, both folded where there is little room, and so is the whole', () => {
    const drawn = (width: number): string[] =>
      arrange({ graph, folded: [], unfolded: [], width, zoom: 1 }).boxes.map(
        (box) => `${box.outline} ${box.label}`,
      );
    expect(drawn(2000)).toContain('box encoder_0/self_attention');
    expect(new Set(drawn(200))).toEqual(
      new Set(
        [0, 1, 2].flatMap((k) => [`block encoder_${k}/self_attention`, `block encoder_${k}/mlp`]),
      ),
    );
    expect(drawn(10)).toEqual(['block encoder_0', 'block encoder_1', 'block encoder_2']);
  });
});

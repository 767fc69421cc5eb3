import type { LayerGraph } from '../api/types';

type Block = LayerGraph['blocks'][number];

const NUMBERED = /^(.+) \(\d+\)$/;

/**
 * What blocks are called beside the drawing. A part of a block that has only a number,
 * `encoder_0 (2)`, is called by what it has that the rest of the block has not:
 * `encoder_0/self_attention`. All other names stay.
 */
export function namesOfBlocks(graph: LayerGraph): Map<string, string> {
  const byName = new Map(graph.blocks.map((block) => [block.name, block]));
  return new Map(graph.blocks.map((block) => [block.name, nameOf(block, byName)]));
}

function nameOf(block: Block, blocks: ReadonlyMap<string, Block>): string {
  const whole = NUMBERED.exec(block.name)?.[1];
  const around = blocks.get(block.parent ?? '');
  if (whole === undefined || around?.name !== whole) return block.name;
  const inside = new Set(block.nodes);
  const others = new Set(
    around.nodes.filter((node) => !inside.has(node)).map((node) => word(node, whole)),
  );
  const counts = new Map<string, number>();
  for (const node of block.nodes) {
    const own = word(node, whole);
    if (own !== '' && !others.has(own)) counts.set(own, (counts.get(own) ?? 0) + 1);
  }
  const [most] = [...counts].sort(([, p], [, q]) => q - p);
  return most ? `${whole}/${most[0]}` : block.name;
}

/** encoder_0/mlp/dense_1 in encoder_0 is of the mlp, encoder_0.norm2 is a norm. */
function word(node: string, whole: string): string {
  const rest = node.startsWith(whole) ? node.slice(whole.length) : '';
  return /^[./]([^./]*?)[_-]?\d*(?:[./]|$)/.exec(rest)?.[1] ?? '';
}

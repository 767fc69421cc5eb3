import type { GraphNode, LayerGraph } from '../api/types';
import { namesOfBlocks } from './parts';

/** What a box looks like: its outline, not its operation. */
export type Outline = 'box' | 'pool' | 'concat' | 'add' | 'terminal' | 'block';

/** One drawn thing: a layer, a group of layers that belong together, or a collapsed block. */
export interface Box {
  id: string;
  outline: Outline;
  label: string;
  op: string;
  /** Layers with stored activations, in the order of the graph. */
  layers: string[];
  nodes: string[];
  /** Innermost frame that the box is drawn in. */
  frame: string | null;
  /** Name of the block that this box stands for. */
  block: string | null;
  inputs: string[];
  shape: (number | null)[] | null;
}

/** An expanded block: drawn as a background behind its boxes. */
export interface Frame {
  name: string;
  label: string;
  kind: string;
  parent: string | null;
  boxes: string[];
  depth: number;
}

export interface Condensed {
  /** In topological order. */
  boxes: Box[];
  frames: Frame[];
}

/** Groups become one box and blocks in `collapsed` become one box. */
export function condense(graph: LayerGraph, collapsed: ReadonlySet<string>): Condensed {
  const blocks = new Map(graph.blocks.map((block) => [block.name, block]));
  const home = innermostBlocks(graph);
  const loose = new Set<string>();
  for (;;) {
    const boxOf = assign(graph, home, blocks, collapsed, loose);
    const boxes = gather(graph, boxOf, blocks);
    const stuck = sortTopologically(boxes);
    if (stuck.length === 0) {
      return { boxes, frames: frames(graph, boxes, blocks, collapsed) };
    }
    // Something that is no convex part of the graph was drawn as one: take it apart.
    const apart = stuck.filter((box) => box.nodes.length > 1);
    if (apart.length === 0) throw new Error('The layer graph has a cycle.');
    for (const box of apart) loose.add(box.id);
  }
}

type Blocks = Map<string, LayerGraph['blocks'][number]>;

function depthOf(name: string, blocks: Blocks): number {
  let depth = 0;
  let parent = blocks.get(name)?.parent ?? null;
  while (parent !== null && depth < blocks.size) {
    depth += 1;
    parent = blocks.get(parent)?.parent ?? null;
  }
  return depth;
}

function innermostBlocks(graph: LayerGraph): Map<string, string> {
  const blocks: Blocks = new Map(graph.blocks.map((block) => [block.name, block]));
  const home = new Map<string, string>();
  const ordered = [...graph.blocks].sort(
    (p, q) => depthOf(p.name, blocks) - depthOf(q.name, blocks),
  );
  for (const block of ordered) for (const node of block.nodes) home.set(node, block.name);
  return home;
}

function ancestors(block: string | undefined, blocks: Blocks): string[] {
  const chain: string[] = [];
  let name: string | null = block ?? null;
  while (name !== null && !chain.includes(name)) {
    chain.push(name);
    name = blocks.get(name)?.parent ?? null;
  }
  return chain;
}

/** node → box id. A collapsed outer block swallows everything inside it. */
function assign(
  graph: LayerGraph,
  home: Map<string, string>,
  blocks: Blocks,
  collapsed: ReadonlySet<string>,
  loose: ReadonlySet<string>,
): Map<string, string> {
  const boxOf = new Map<string, string>();
  for (const node of graph.nodes) {
    const outermost = ancestors(home.get(node.name), blocks)
      .filter((name) => collapsed.has(name) && !loose.has(`block:${name}`))
      .at(-1);
    const host = `node:${node.group ?? node.name}`;
    if (outermost !== undefined) boxOf.set(node.name, `block:${outermost}`);
    else boxOf.set(node.name, loose.has(host) ? `node:${node.name}` : host);
  }
  return boxOf;
}

function gather(graph: LayerGraph, boxOf: Map<string, string>, blocks: Blocks): Box[] {
  const home = innermostBlocks(graph);
  const members = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    const id = boxOf.get(node.name)!;
    const list = members.get(id);
    if (list) list.push(node);
    else members.set(id, [node]);
  }
  const passed = passedThrough(members);
  const names = namesOfBlocks(graph);
  const boxes: Box[] = [];
  for (const [id, nodes] of members) {
    if (passed.has(id)) continue;
    const inputs = new Set<string>();
    for (const node of nodes) {
      for (const input of node.inputs) {
        let source = boxOf.get(input);
        while (source !== undefined && passed.has(source)) source = passed.get(source);
        if (source !== undefined && source !== id) inputs.add(source);
      }
    }
    const last = nodes.at(-1)!;
    const main = nodes.find((node) => `node:${node.name}` === id) ?? last;
    const speaker = nodes.findLast((node) => node.logged) ?? last;
    const block = id.startsWith('block:') ? id.slice('block:'.length) : null;
    const isOperation = block === null || isSmallGroup(blocks.get(block)!);
    const inside = home.get(main.name);
    boxes.push({
      id,
      outline: isOperation ? outlineOf(main) : 'block',
      label: names.get(block ?? '') ?? (speaker.label || speaker.name),
      op: block !== null ? (blocks.get(block)?.kind ?? 'block') : nodes.map((n) => n.op).join(', '),
      layers: nodes.filter((node) => node.logged).map((node) => node.name),
      nodes: nodes.map((node) => node.name),
      frame: block !== null ? (blocks.get(block)?.parent ?? null) : (inside ?? null),
      block,
      inputs: [...inputs],
      shape: last.shape,
    });
  }
  return boxes;

  /** Boxes that say nothing (no activations, one input, no known kind) → the box before them. */
  function passedThrough(all: Map<string, GraphNode[]>): Map<string, string> {
    const result = new Map<string, string>();
    for (const [id, nodes] of all) {
      const node = nodes[0]!;
      if (nodes.length > 1 || node.logged || node.inputs.length !== 1) continue;
      const source = boxOf.get(node.inputs[0]!);
      if (source !== undefined) result.set(id, source);
    }
    return result;
  }
}

// A handful of operations that one name covers (a local response norm) is one thing to a reader.
const SMALL_GROUP = 6;

export function isSmallGroup({ kind, nodes }: LayerGraph['blocks'][number]): boolean {
  return kind === 'group' && nodes.length <= SMALL_GROUP;
}

const OUTLINES: Record<string, Outline> = {
  pool: 'pool',
  concat: 'concat',
  add: 'add',
  input: 'terminal',
  output: 'terminal',
};

function outlineOf(node: GraphNode): Outline {
  return OUTLINES[node.kind] ?? 'box';
}

/** Sorts in place; returns what lies on cycles. */
function sortTopologically(boxes: Box[]): Box[] {
  const waiting = new Map(boxes.map((box) => [box.id, box.inputs.length]));
  const consumers = new Map<string, Box[]>();
  for (const box of boxes) {
    for (const input of box.inputs) consumers.set(input, [...(consumers.get(input) ?? []), box]);
  }
  const positions = new Map(boxes.map((box, index) => [box.id, index]));
  const ready = boxes.filter((box) => box.inputs.length === 0);
  const sorted: Box[] = [];
  while (ready.length > 0) {
    const box = ready.shift()!;
    sorted.push(box);
    for (const next of consumers.get(box.id) ?? []) {
      const left = waiting.get(next.id)! - 1;
      waiting.set(next.id, left);
      if (left === 0) {
        // Keeps the order of the graph's own nodes among what is ready.
        const at = ready.findIndex((other) => positions.get(other.id)! > positions.get(next.id)!);
        if (at < 0) ready.push(next);
        else ready.splice(at, 0, next);
      }
    }
  }
  if (sorted.length === boxes.length) boxes.splice(0, boxes.length, ...sorted);
  const done = new Set(sorted);
  return boxes.filter((box) => !done.has(box));
}

function frames(
  graph: LayerGraph,
  boxes: Box[],
  blocks: Blocks,
  collapsed: ReadonlySet<string>,
): Frame[] {
  const inside = new Map<string, string[]>();
  for (const box of boxes) {
    for (const name of ancestors(box.frame ?? undefined, blocks)) {
      inside.set(name, [...(inside.get(name) ?? []), box.id]);
    }
  }
  const names = namesOfBlocks(graph);
  return graph.blocks
    .filter((block) => !collapsed.has(block.name) && (inside.get(block.name)?.length ?? 0) > 0)
    .map((block) => ({
      name: block.name,
      label: names.get(block.name)!,
      kind: block.kind,
      parent: block.parent,
      boxes: inside.get(block.name)!,
      depth: depthOf(block.name, blocks),
    }));
}

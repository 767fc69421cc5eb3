import type { LayerGraph } from '../api/types';
import { isSmallGroup } from './condense';
import { place, type Layout } from './place';

export interface Request {
  graph: LayerGraph;
  /** Blocks that the reader folded or unfolded; the others follow the room there is. */
  folded: readonly string[];
  unfolded: readonly string[];
  width: number;
  zoom: number;
}

// Of more boxes than this in one drawing none can be made out.
const LEGIBLE = 200;

/** Lay out as much detail as fits: everything, else with inner blocks folded, else with outer. */
export function arrange({ graph, folded, unfolded, width, zoom }: Request): Layout {
  const small = graph.blocks.filter(isSmallGroup);
  const parents = new Set(graph.blocks.flatMap((one) => (isSmallGroup(one) ? [] : one.parent)));
  const levels = [
    small,
    [...small, ...graph.blocks.filter((block) => !parents.has(block.name))],
    [...small, ...graph.blocks.filter((block) => block.parent === null)],
  ];
  let layout: Layout | null = null;
  for (const level of levels) {
    const collapsed = new Set([...level.map((block) => block.name), ...folded]);
    for (const name of unfolded) collapsed.delete(name);
    layout = place(graph, collapsed, width, zoom);
    if (layout.width < width * zoom + 1 && layout.boxes.length <= LEGIBLE * zoom) break;
  }
  return layout!;
}

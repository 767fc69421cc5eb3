import { condense, type Box, type Frame, type Outline } from './condense';
import { readTree, type Edge, type Tree } from './tree';
import type { LayerGraph } from '../api/types';

export interface PlacedBox extends Box {
  /** Centre and size, in pixels. */
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface PlacedFrame extends Frame {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface PlacedEdge extends Edge {
  path: string;
}

export interface Layout {
  width: number;
  height: number;
  boxes: PlacedBox[];
  frames: PlacedFrame[];
  edges: PlacedEdge[];
}

const BOX_HEIGHT = 20;
const GAP = 7;
const ROW_GAP = 5;
const FRAME_GAP = 7;
const SKIP_HEIGHT = 9;
const PAD = 5;
const NATURAL_WIDTH: Record<Outline, number> = {
  box: 12,
  pool: 10,
  concat: 5,
  add: 11,
  terminal: 14,
  block: 26,
};
// Beyond these a drawing that fills the width looks torn apart, or boxes become too thin to hit.
const MOST_STRETCH = 6;
const LEAST_STRETCH = 0.62;
const WIDEST_BOX = 1.9;

/** Extent of a part around the axis that its row shares. */
interface Extent {
  width: number;
  up: number;
  down: number;
}

/**
 * Lay a graph out from left to right, with the blocks in `collapsed` drawn as one box each.
 * It fills `zoom` times `width` if that looks well, and becomes wider if it is too long for it.
 */
export function place(
  graph: LayerGraph,
  collapsed: ReadonlySet<string>,
  fit: number,
  zoom: number,
): Layout {
  const width = fit * zoom;
  const { boxes, frames } = condense(graph, collapsed);
  if (boxes.length === 0) return { width: 0, height: 0, boxes: [], frames: [], edges: [] };
  const byId = new Map(boxes.map((box) => [box.id, box]));
  const depths = frameChains(frames);
  const tree = readTree(boxes);

  const centre = new Map<string, { x: number; y: number }>();
  const lanes = new Map<string, number>();
  const memory = new Map<Tree, Extent>();
  const total = measure(tree);
  put(tree, 0, 0);

  const room = width - 2 * PAD;
  const stretch = clamp(room / total.width, LEAST_STRETCH, MOST_STRETCH * zoom);
  const nest = Math.max(0, ...frames.map((frame) => frame.depth + 1)) * PAD;
  const top = total.up + nest + PAD;
  // A short graph is centred: its depth still reads from left to right.
  const left = PAD + Math.max(0, (room - total.width * stretch) / 2);
  const placed = boxes.map((box): PlacedBox => {
    const at = centre.get(box.id)!;
    return {
      ...box,
      x: left + at.x * stretch,
      y: top + at.y,
      width: NATURAL_WIDTH[box.outline] * clamp(stretch, LEAST_STRETCH, WIDEST_BOX),
      height: box.outline === 'add' ? 12 : BOX_HEIGHT,
    };
  });
  const placedById = new Map(placed.map((box) => [box.id, box]));
  const fanOut = new Map<string, number>();
  for (const box of boxes) {
    for (const input of box.inputs) fanOut.set(input, (fanOut.get(input) ?? 0) + 1);
  }
  return {
    width: Math.max(width, total.width * stretch + 2 * PAD),
    height: top + total.down + nest + PAD,
    boxes: placed,
    frames: frames.map((frame) => surround(frame, frames, placedById)),
    edges: boxes.flatMap((box) =>
      box.inputs.map((input): PlacedEdge => {
        const [from, to] = [placedById.get(input)!, placedById.get(box.id)!];
        const lane = lanes.get(`${input}\n${box.id}`);
        const early = (fanOut.get(input) ?? 0) > 1;
        const via = lane === undefined ? (early ? to.y : from.y) : top + lane;
        return { from: input, to: box.id, path: edgePath(from, to, via, 16 * stretch) };
      }),
    ),
  };

  function measure(part: Tree): Extent {
    const known = memory.get(part);
    if (known) return known;
    const extent = measureAnew(part);
    memory.set(part, extent);
    return extent;
  }

  function measureAnew(part: Tree): Extent {
    switch (part.type) {
      case 'box':
        return {
          width: NATURAL_WIDTH[byId.get(part.id)!.outline],
          up: BOX_HEIGHT / 2,
          down: BOX_HEIGHT / 2,
        };
      case 'series': {
        const extents = part.parts.map(measure);
        return {
          width: sum(extents.map((e) => e.width)) + sum(seriesGaps(part.parts)),
          up: Math.max(...extents.map((e) => e.up)),
          down: Math.max(...extents.map((e) => e.down)),
        };
      }
      case 'parallel': {
        const extents = part.branches.map(measure);
        const width = Math.max(...extents.map((e) => e.width));
        const skip = part.skips.length ? SKIP_HEIGHT : 0;
        if (extents.length === 1) {
          return { width, up: extents[0]!.up + skip, down: extents[0]!.down };
        }
        const height = sum(extents.map((e) => e.up + e.down)) + ROW_GAP * (extents.length - 1);
        return { width, up: height / 2 + skip, down: height / 2 };
      }
      case 'columns': {
        const rows = Math.max(...part.columns.map((column) => column.length));
        const height = rows * (BOX_HEIGHT + ROW_GAP) - ROW_GAP;
        const widths = part.columns.map(columnWidth);
        return {
          width: sum(widths) + GAP * (widths.length - 1),
          up: height / 2,
          down: height / 2,
        };
      }
    }
  }

  function put(part: Tree, x: number, axis: number): void {
    switch (part.type) {
      case 'box':
        centre.set(part.id, { x: x + measure(part).width / 2, y: axis });
        return;
      case 'series': {
        const gaps = seriesGaps(part.parts);
        let at = x;
        part.parts.forEach((child, index) => {
          put(child, at, axis);
          at += measure(child).width + (gaps[index] ?? 0);
        });
        return;
      }
      case 'parallel': {
        const extent = measure(part);
        const lane = axis - extent.up + SKIP_HEIGHT / 2 - 1;
        for (const edge of part.skips) lanes.set(`${edge.from}\n${edge.to}`, lane);
        let at = axis - extent.up + (part.skips.length ? SKIP_HEIGHT : 0);
        for (const branch of part.branches) {
          const child = measure(branch);
          const only = part.branches.length === 1;
          put(branch, x + extent.width - child.width, only ? axis : at + child.up);
          at += child.up + child.down + ROW_GAP;
        }
        return;
      }
      case 'columns': {
        let at = x;
        for (const column of part.columns) {
          const wide = columnWidth(column);
          column.forEach((id, row) => {
            const offset = row - (column.length - 1) / 2;
            centre.set(id, { x: at + wide / 2, y: axis + offset * (BOX_HEIGHT + ROW_GAP) });
          });
          at += wide + GAP;
        }
      }
    }
  }

  function columnWidth(column: readonly string[]): number {
    return Math.max(...column.map((id) => NATURAL_WIDTH[byId.get(id)!.outline]));
  }

  /** Room between neighbours: more where a frame ends or begins between them. */
  function seriesGaps(parts: readonly Tree[]): number[] {
    return parts.slice(1).map((right, index) => {
      const before = chainOf(endBox(parts[index]!, 'last'));
      const after = chainOf(endBox(right, 'first'));
      const shared = before.filter((name) => after.includes(name)).length;
      return GAP + FRAME_GAP * (before.length - shared + after.length - shared);
    });
  }

  function chainOf(id: string): string[] {
    return depths.get(byId.get(id)!.frame ?? '') ?? [];
  }
}

function endBox(part: Tree, end: 'first' | 'last'): string {
  switch (part.type) {
    case 'box':
      return part.id;
    case 'series':
      return endBox(end === 'first' ? part.parts[0]! : part.parts.at(-1)!, end);
    case 'parallel':
      return endBox(part.branches[0]!, end);
    case 'columns':
      return (end === 'first' ? part.columns[0]! : part.columns.at(-1)!)[0]!;
  }
}

/** frame → itself and the frames around it. */
function frameChains(frames: readonly Frame[]): Map<string, string[]> {
  const parent = new Map(frames.map((frame) => [frame.name, frame.parent]));
  return new Map(
    frames.map((frame) => {
      const chain: string[] = [];
      let name: string | null | undefined = frame.name;
      while (name && parent.has(name) && !chain.includes(name)) {
        chain.push(name);
        name = parent.get(name);
      }
      return [frame.name, chain];
    }),
  );
}

function surround(
  frame: Frame,
  frames: readonly Frame[],
  placed: ReadonlyMap<string, PlacedBox>,
): PlacedFrame {
  const boxes = frame.boxes.map((id) => placed.get(id)!);
  const deepest = Math.max(
    ...frames.filter((f) => f.boxes.some((id) => frame.boxes.includes(id))).map((f) => f.depth),
  );
  const pad = PAD * (deepest - frame.depth + 1);
  return {
    ...frame,
    left: Math.min(...boxes.map((box) => box.x - box.width / 2)) - pad,
    right: Math.max(...boxes.map((box) => box.x + box.width / 2)) + pad,
    top: Math.min(...boxes.map((box) => box.y - box.height / 2)) - pad,
    bottom: Math.max(...boxes.map((box) => box.y + box.height / 2)) + pad,
  };
}

/** From the right of one box to the left of another, running level at height `via`. */
function edgePath(from: PlacedBox, to: PlacedBox, via: number, bend: number): string {
  const [x1, y1] = [from.x + from.width / 2, from.y];
  const [x2, y2] = [to.x - to.width / 2, to.y];
  const reach = Math.max(0, Math.min(bend, (x2 - x1) / (via !== y1 && via !== y2 ? 2 : 1)));
  const parts = [`M${r(x1)} ${r(y1)}`];
  if (via !== y1) {
    const mid = x1 + reach / 2;
    parts.push(`C${r(mid)} ${r(y1)} ${r(mid)} ${r(via)} ${r(x1 + reach)} ${r(via)}`);
  }
  if (via !== y2) {
    const mid = x2 - reach / 2;
    parts.push(`L${r(x2 - reach)} ${r(via)}`);
    parts.push(`C${r(mid)} ${r(via)} ${r(mid)} ${r(y2)} ${r(x2)} ${r(y2)}`);
  } else {
    parts.push(`L${r(x2)} ${r(y2)}`);
  }
  return parts.join('');
}

function r(value: number): number {
  return Math.round(value * 10) / 10;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

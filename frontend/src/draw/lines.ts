import type { Table } from '../align/matrix';
import type { Pairs } from '../align/select';
import { stroke, type Encoding } from './encode';

/** Where a line leaves a box of A and where it meets a box of B. */
export interface Anchor {
  x: number;
  /** Edge of the box that faces the other model. */
  y: number;
}

export interface Gap {
  /** Lower edge of A's drawing and upper edge of B's: lines run level between boxes outside. */
  top: number;
  bottom: number;
}

/** Where lines run and what their looks mean; which of them are drawn is said beside it. */
export interface Scene {
  table: Table;
  rows: readonly (Anchor | undefined)[];
  columns: readonly (Anchor | undefined)[];
  gap: Gap;
  encoding: Encoding;
}

/** More lines than this cannot be told apart; the strongest are drawn. */
export const MOST_LINES = 20_000;

type Pen = Pick<CanvasRenderingContext2D, 'moveTo' | 'lineTo' | 'bezierCurveTo'>;

/** Straight out of the model's drawing, then a curve that leaves and arrives upright. */
export function trace(pen: Pen, from: Anchor, to: Anchor, gap: Gap): void {
  const reach = (gap.bottom - gap.top) * 0.45;
  pen.moveTo(from.x, from.y);
  pen.lineTo(from.x, gap.top);
  pen.bezierCurveTo(from.x, gap.top + reach, to.x, gap.bottom - reach, to.x, gap.bottom);
  pen.lineTo(to.x, to.y);
}

/** The ends of a pair's line and its value; null where a box is not drawn. */
export function lineOf(
  { table, rows, columns }: Scene,
  pair: number,
): { from: Anchor; to: Anchor; value: number } | null {
  const from = rows[Math.floor(pair / table.columns)];
  const to = columns[pair % table.columns];
  return from && to ? { from, to, value: table.values[pair]! } : null;
}

/**
 * Draw lines `first` to `end` (excluded), strongest first, each beneath what is there already: the
 * same picture as from the weakest on, but the part that matters is there at once.
 */
export function drawLines(
  context: CanvasRenderingContext2D,
  scene: Scene,
  pairs: Pairs,
  colour: string,
  visible: { left: number; right: number },
  first: number,
  end: number,
): void {
  context.globalCompositeOperation = 'destination-over';
  context.lineCap = 'butt';
  context.lineJoin = 'round';
  context.strokeStyle = colour;
  for (let at = end - 1; at >= first; at--) {
    const line = lineOf(scene, pairs[at]!);
    if (!line) continue;
    const { from, to } = line;
    if (Math.max(from.x, to.x) < visible.left || Math.min(from.x, to.x) > visible.right) continue;
    const { width, opacity } = stroke(line.value, scene.encoding);
    context.lineWidth = width;
    context.globalAlpha = opacity;
    context.beginPath();
    trace(context, from, to, scene.gap);
    context.stroke();
  }
}

/** The same path as text, for the exported SVG. */
export function linePath(from: Anchor, to: Anchor, gap: Gap): string {
  const parts: string[] = [];
  const round = (value: number): number => Math.round(value * 10) / 10;
  const write =
    (command: string) =>
    (...numbers: number[]): void => {
      parts.push(command + numbers.map(round).join(' '));
    };
  trace({ moveTo: write('M'), lineTo: write('L'), bezierCurveTo: write('C') }, from, to, gap);
  return parts.join('');
}

import type { Line } from '../align/select';
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

export interface Scene {
  lines: readonly Line[];
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

/**
 * Draw lines `first` to `end` (excluded), strongest first, each beneath what is there already: the
 * same picture as from the weakest on, but the part that matters is there at once.
 */
export function drawLines(
  context: CanvasRenderingContext2D,
  scene: Scene,
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
    const line = scene.lines[at]!;
    const from = scene.rows[line.row];
    const to = scene.columns[line.column];
    if (!from || !to) continue;
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

import type { Table } from '../align/matrix';
import type { Pairs } from '../align/select';
import { stroke, type Encoding } from './encode';

/** Where a line leaves a box of A and where it meets a box of B. */
export interface Anchor {
  x: number;
  /** Edge of the box that faces the other model, or the height at which the line leaves it. */
  y: number;
  /** Where it leaves a box sideways, to run beside what is before it. */
  aside?: number;
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
  /** Which lines are dashed: the measure cannot tell that their ends are alike. Null for none. */
  dashed?: ((pair: number) => boolean) | null;
}

/** Lengths of the dashes and of the gaps between them. */
export const DASHES = [5, 4];

// So near counts as on the line, and of so many lines the strongest can be pointed at.
const REACH = 5;
const MOST_POINTED = 4000;

/** The pair whose line passes nearest to this point between the models; null if none is near. */
export function nearestLine(scene: Scene, pairs: Pairs, x: number, y: number): number | null {
  const { top, bottom } = scene.gap;
  if (y <= top || y >= bottom) return null;
  // Height depends on how far along the curve is, and for all lines alike: see `trace`.
  const share = (y - top) / (bottom - top);
  let [low, high] = [0, 1];
  for (let step = 0; step < 30; step++) {
    const t = (low + high) / 2;
    const s = 1 - t;
    const reached = 3 * BEND * s * s * t + 3 * (1 - BEND) * s * t * t + t * t * t;
    if (reached < share) low = t;
    else high = t;
  }
  const across = low * low * (3 - 2 * low);
  let best: number | null = null;
  let least = REACH;
  const last = Math.max(0, pairs.length - MOST_POINTED);
  for (let at = pairs.length - 1; at >= last; at--) {
    const line = lineOf(scene, pairs[at]!);
    if (!line) continue;
    const away = Math.abs(line.from.x + across * (line.to.x - line.from.x) - x);
    if (away >= least) continue;
    [best, least] = [pairs[at]!, away];
  }
  return best;
}

/** More lines than this cannot be told apart; the strongest are drawn. */
export const MOST_LINES = 20_000;

/** How far a line goes on upright, as a share of the room between the models. */
const BEND = 0.45;

const SOLID: number[] = [];

type Pen = Pick<CanvasRenderingContext2D, 'moveTo' | 'lineTo' | 'bezierCurveTo'>;

/** Straight out of the model's drawing, past what is before the box, then a curve that leaves and arrives upright. */
export function trace(pen: Pen, from: Anchor, to: Anchor, gap: Gap): void {
  const reach = (gap.bottom - gap.top) * BEND;
  pen.moveTo(from.aside ?? from.x, from.y);
  if (from.aside !== undefined) pen.lineTo(from.x, from.y);
  pen.lineTo(from.x, gap.top);
  pen.bezierCurveTo(from.x, gap.top + reach, to.x, gap.bottom - reach, to.x, gap.bottom);
  pen.lineTo(to.x, to.y);
  if (to.aside !== undefined) pen.lineTo(to.aside, to.y);
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
    context.setLineDash(scene.dashed?.(pairs[at]!) ? DASHES : SOLID);
    context.beginPath();
    trace(context, from, to, scene.gap);
    context.stroke();
  }
  if (first === 0) recolour(context, colour);
}

/**
 * Give all that is drawn its colour again: each line that lies over others is rounded to whole steps
 * of red, green and blue, and thousands of pale ones add up to another colour.
 */
function recolour(context: CanvasRenderingContext2D, colour: string): void {
  context.save();
  context.resetTransform();
  context.globalCompositeOperation = 'source-in';
  context.globalAlpha = 1;
  context.fillStyle = colour;
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  context.restore();
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

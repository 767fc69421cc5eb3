import { bestInRow, type Table } from '../align/matrix';
import type { Matrix } from '../api/types';
import { heat, readableTicks, type Encoding } from './encode';
import { escape, type Colours, type Side } from './figure';
import { asSentence, cellsPath, HATCH, hatchPattern, type Doubt } from './hatch';
import { tablePicture } from './heat';
import { leastFont, sizeOn, unitsOf, type Paper } from './paper';
import { LETTER, wrap } from './wrap';

const CELL = 10;
const FONT = 9;
/** Of the width of the paper. */
const TALLEST = 1.2;
const MARGIN = 16;
const TITLE = 56;
const BAR = { width: 12, gap: 26, stops: 24, ticks: 40 };
const LEAST_WIDTH = 420;
/** Beside white hatching, which bright cells would hide. */
export const SHADE = '#0006';

export interface MatrixFigure {
  matrix: Pick<Matrix, 'rows' | 'columns' | 'warnings'>;
  table: Table;
  encoding: Encoding;
  /** What the numbers are. */
  title: string;
  models: Record<Side, string>;
  /** Why the measure cannot tell how alike a pair is. */
  doubt: (row: number, column: number) => Doubt | null;
  /** What else the caption says, first. */
  caption?: readonly string[];
  paper?: Paper | null;
}

/** The matrix as a document of its own, every layer named; cells are one embedded picture. */
export function matrixSvg(figure: MatrixFigure, colours: Colours): string {
  const { matrix, table, encoding, title, models, doubt, caption = [], paper = null } = figure;
  const font = paper ? leastFont(0, paper) : FONT;
  const longest = (names: readonly string[]): number =>
    Math.ceil(Math.max(0, ...names.map((name) => name.length)) * font * LETTER) + 8;
  const left = longest(matrix.rows) + 20;
  const beside = left + BAR.gap + BAR.width + BAR.ticks + 2 * MARGIN;
  const cell = paper ? Math.max(0.5, (unitsOf(paper.mm) - beside) / table.columns) : CELL;
  const tall = paper ? Math.min(cell, (TALLEST * unitsOf(paper.mm)) / table.rows) : CELL;
  const [width, height] = [table.columns * cell, table.rows * tall];
  const top = TITLE + longest(matrix.columns) + 18;
  const barX = left + width + BAR.gap;
  const whole = Math.max(paper ? 0 : LEAST_WIDTH, barX + BAR.width + BAR.ticks);
  const doubted = (['rows', 'null'] as const).flatMap((why): [Doubt, string][] => {
    const is = (row: number, column: number): boolean => doubt(row, column) === why;
    const place = { left, top, wide: cell, tall };
    const path = cellsPath(table.rows, table.columns, is, place);
    return path ? [[why, path]] : [];
  });
  const notes = [
    ...caption,
    'Rows are layers of A and columns layers of B, the input first. A white dot marks the best match of each row.',
    ...doubted.map(([why]) => asSentence(HATCH[why])),
    ...matrix.warnings,
  ].flatMap((note) => wrap(note, whole, font));
  const barHeight = Math.max(height, 60);
  const below = top + barHeight + 20;
  const bottom = below + notes.length * (font + 4);

  const [every, across] = [tall, cell].map((size) => Math.max(1, Math.ceil((font + 1) / size)));
  const rows = matrix.rows.map((name, row) =>
    row % every! ? '' : text(left - 6, top + (row + 0.5) * tall + font / 3, name, 'end'),
  );
  const columns = matrix.columns.map((name, column) =>
    column % across!
      ? ''
      : upright(left + (column + 0.5) * cell + font / 3, top - 6, name, 'start'),
  );
  const hatched = doubted.map(
    ([why, path]) => `<path class="hatch" d="${path}" fill="url(#matrix-hatch-${why})"/>`,
  );
  const dots = matrix.rows.map((_, row) => {
    const column = bestInRow(table, row);
    const at = `cx="${left + (column + 0.5) * cell}" cy="${top + (row + 0.5) * tall}"`;
    return column < 0
      ? ''
      : `<circle ${at} r="${Math.min(1.6, 0.4 * cell)}" fill="#fff" stroke="#222" stroke-width="0.5"/>`;
  });
  const span = encoding.high - encoding.low || 1;
  const bar = Array.from({ length: BAR.stops }, (_, k) => {
    const value = encoding.low + (span * (k + 0.5)) / BAR.stops;
    const step = barHeight / BAR.stops;
    return (
      `<rect x="${barX}" y="${top + barHeight - (k + 1) * step}" width="${BAR.width}" ` +
      `height="${step + 0.3}" fill="${heat(value, encoding)}"/>`
    );
  });
  const ticks = readableTicks(encoding).map(({ value, text: tick }) => {
    const y = top + barHeight * (1 - (value - encoding.low) / span);
    return text(barX + BAR.width + 5, y + font / 3, tick, 'start');
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" ` +
    `${sizeOn(paper, whole + 2 * MARGIN, bottom + 2 * MARGIN)} viewBox="${-MARGIN} ${-MARGIN} ${whole + 2 * MARGIN} ` +
    `${bottom + 2 * MARGIN}" fill="${colours('--soft')}" ` +
    `font-family="Roboto, system-ui, Helvetica, Arial, sans-serif" font-size="${font}">` +
    `<defs>${doubted.map(([why]) => hatchPattern(`matrix-hatch-${why}`, '#fff', why, SHADE)).join('')}</defs>` +
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="100%" height="100%" fill="${colours('--page')}"/>` +
    `<text class="title" x="0" y="12" font-size="14" fill="${colours('--text')}">` +
    `${escape(title)}</text>` +
    `<text class="axis" x="0" y="30" font-size="11">A: ${escape(models.a)}</text>` +
    `<text class="axis" x="0" y="45" font-size="11">B: ${escape(models.b)}</text>` +
    `<image x="${left}" y="${top}" width="${width}" height="${height}" ` +
    `preserveAspectRatio="none" style="image-rendering:pixelated" ` +
    `href="${tablePicture(table, encoding, CELL)}"/>` +
    `${hatched.join('')}${dots.join('')}${rows.join('')}${columns.join('')}` +
    `<g class="bar">${bar.join('')}${ticks.join('')}</g>` +
    notes.map((line, at) => text(0, below + at * (font + 4), line, 'start')).join('') +
    '</svg>'
  );

  function text(x: number, y: number, content: string, where: 'start' | 'end'): string {
    return `<text x="${x}" y="${y}" text-anchor="${where}">${escape(content)}</text>`;
  }
  function upright(x: number, y: number, content: string, where: 'start'): string {
    return (
      `<text transform="translate(${x} ${y}) rotate(-90)" text-anchor="${where}">` +
      `${escape(content)}</text>`
    );
  }
}

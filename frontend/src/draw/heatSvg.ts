import type { Matrix } from '../api/types';
import type { Table } from '../align/matrix';
import { format, type Encoding } from './encode';
import { escape, type Colours } from './figure';
import { matrixImage } from './heat';

const CELL = 10;
const LABEL = 190;
const MARGIN = 16;

/** The matrix as a document of its own, every layer named; cells are one embedded picture. */
export function matrixSvg(
  matrix: Matrix,
  table: Table,
  encoding: Encoding,
  title: string,
  colours: Colours,
): string {
  const [low, high] = [encoding.sign * encoding.low || 0, encoding.sign * encoding.high || 0];
  const canvas = document.createElement('canvas');
  canvas.width = table.columns * CELL;
  canvas.height = table.rows * CELL;
  const context = canvas.getContext('2d');
  const small = document.createElement('canvas');
  small.width = table.columns;
  small.height = table.rows;
  small.getContext('2d')?.putImageData(matrixImage(table, encoding), 0, 0);
  if (context) {
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
  }
  const width = LABEL + canvas.width + 2 * MARGIN;
  const height = LABEL + canvas.height + 2 * MARGIN + 24;
  const rows = matrix.rows.map(
    (name, row) =>
      `<text x="${LABEL - 6}" y="${LABEL + row * CELL + 8}" text-anchor="end">${escape(name)}</text>`,
  );
  const columns = matrix.columns.map(
    (name, column) =>
      `<text transform="translate(${LABEL + column * CELL + 8} ${LABEL - 6}) rotate(-90)">` +
      `${escape(name)}</text>`,
  );
  const caption = escape(
    `${title}: ${matrix.a} (rows) and ${matrix.b} (columns), ${format(low)} dark to ${format(high)} light`,
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}" fill="${colours('--soft')}" ` +
    `font-family="Roboto, system-ui, Helvetica, Arial, sans-serif" font-size="8.5">` +
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="100%" height="100%" fill="${colours('--page')}"/>` +
    `<image x="${LABEL}" y="${LABEL}" width="${canvas.width}" height="${canvas.height}" ` +
    `href="${canvas.toDataURL()}"/>` +
    `${rows.join('')}${columns.join('')}` +
    `<text x="0" y="${LABEL + canvas.height + 22}" font-size="11">${caption}</text></svg>`
  );
}

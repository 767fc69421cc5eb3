import { elide } from '../layout/names';
import { escape, type Colours } from './figure';
import { wrap } from './wrap';

/** A picture with what is written beneath it. */
export interface Shown {
  address: string;
  lines: string[];
  /** What of it a layer sees, and where a unit is most active, as shares of it. */
  field?: readonly number[] | null;
  spot?: { u: number; v: number } | null;
}

const SIZE = 104;
const [GAP, LINE, MARGIN] = [12, 14, 20];
const FONT = 10.5;
const MOST_COLUMNS = 8;
const LETTERS = 19;

/** Pictures side by side as a document of its own, which holds them. */
export async function pictureSheet(
  pictures: readonly Shown[],
  caption: string,
  colours: Colours,
): Promise<string> {
  const held = await Promise.all(pictures.map((picture) => asData(picture.address)));
  const columns = Math.min(MOST_COLUMNS, Math.max(1, pictures.length));
  const text = Math.max(0, ...pictures.map((picture) => picture.lines.length));
  const cell = { width: SIZE + GAP, height: SIZE + text * LINE + GAP };
  const inner = Math.max(columns, 3) * cell.width - GAP;
  const said = wrap(caption, inner, FONT);
  const width = inner + 2 * MARGIN;
  const rows = Math.ceil(pictures.length / columns) * cell.height;
  const height = rows + 2 * MARGIN + LINE * said.length;
  const drawn = pictures.map(({ lines, field, spot }, at) => {
    const x = (at % columns) * cell.width;
    const y = Math.floor(at / columns) * cell.height;
    const words = lines.map(
      (line, row) =>
        `<text x="${x}" y="${y + SIZE + (row + 1) * LINE - 2}" ` +
        `fill="${colours(row === 0 ? '--text' : '--soft')}">${escape(elide(line, LETTERS))}</text>`,
    );
    return (
      `<image x="${x}" y="${y}" width="${SIZE}" height="${SIZE}" ` +
      `preserveAspectRatio="xMidYMid slice" href="${held[at]}"/>${words.join('')}` +
      marks(x, y, field, spot)
    );
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}" font-size="${FONT}" ` +
    `font-family="Roboto, system-ui, Helvetica, Arial, sans-serif">` +
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="100%" height="100%" fill="${colours('--page')}"/>` +
    `${drawn.join('\n')}` +
    said
      .map(
        (line, row) =>
          `<text x="0" y="${rows + (row + 1) * LINE}" fill="${colours('--soft')}">${escape(line)}</text>`,
      )
      .join('') +
    '</svg>'
  );
}

/** The frame and the ring that stand on a picture in the tab, white with a dark edge. */
function marks(x: number, y: number, field: Shown['field'], spot: Shown['spot']): string {
  const out: string[] = [];
  const inks = [
    ['#000', 3],
    ['#fff', 1.2],
  ] as const;
  for (const [ink, thickness] of inks) {
    const look = `fill="none" stroke="${ink}" stroke-width="${thickness}"`;
    if (field) {
      const [top, left, height, width] = field.map((share) => share * SIZE);
      out.push(
        `<rect x="${x + left!}" y="${y + top!}" width="${width}" height="${height}" ${look}/>`,
      );
    }
    if (spot) {
      out.push(`<circle cx="${x + spot.v * SIZE}" cy="${y + spot.u * SIZE}" r="6" ${look}/>`);
    }
  }
  return out.join('');
}

async function asData(address: string): Promise<string> {
  if (address.startsWith('data:')) return address;
  const response = await fetch(address);
  if (!response.ok) throw new Error(`the server no longer has ${address}`);
  const blob = await response.blob();
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(new Error('a picture could not be read'));
    reader.readAsDataURL(blob);
  });
}

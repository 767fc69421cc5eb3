import { elide } from '../layout/names';
import { escape, type Colours } from './figure';

/** A picture with what is written beneath it. */
export interface Shown {
  address: string;
  lines: string[];
}

const SIZE = 104;
const [GAP, LINE, MARGIN] = [12, 14, 20];
const MOST_COLUMNS = 8;
const LETTERS = 19;
const LETTER = 5.9;

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
  const width = Math.max(columns * cell.width - GAP, LETTER * caption.length) + 2 * MARGIN;
  const height = Math.ceil(pictures.length / columns) * cell.height + 2 * MARGIN + LINE;
  const drawn = pictures.map(({ lines }, at) => {
    const x = (at % columns) * cell.width;
    const y = Math.floor(at / columns) * cell.height;
    const words = lines.map(
      (line, row) =>
        `<text x="${x}" y="${y + SIZE + (row + 1) * LINE - 2}" ` +
        `fill="${colours(row === 0 ? '--text' : '--soft')}">${escape(elide(line, LETTERS))}</text>`,
    );
    return (
      `<image x="${x}" y="${y}" width="${SIZE}" height="${SIZE}" ` +
      `preserveAspectRatio="xMidYMid slice" href="${held[at]}"/>${words.join('')}`
    );
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}" font-size="10.5" ` +
    `font-family="Roboto, system-ui, Helvetica, Arial, sans-serif">` +
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="100%" height="100%" fill="${colours('--page')}"/>` +
    `${drawn.join('\n')}` +
    `<text x="0" y="${height - 2 * MARGIN}" fill="${colours('--soft')}">${escape(caption)}</text></svg>`
  );
}

async function asData(address: string): Promise<string> {
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

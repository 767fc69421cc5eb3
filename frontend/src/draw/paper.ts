/** How large a figure is on paper. */
export interface Paper {
  /** Width in millimetres. */
  mm: number;
}

/** Widths of one column, of one and a half and of two, as most journals have them. */
export const WIDTHS = [85, 120, 180];
export const DPI = 300;
/** The least size of text that journals allow, in points. */
const LEAST_POINTS = 7;
const MM_PER_INCH = 25.4;
const [UNITS_PER_INCH, POINTS_PER_INCH] = [96, 72];

/** Millimetres in the units of a drawing, which are those of style sheets. */
export function unitsOf(mm: number): number {
  return (mm / MM_PER_INCH) * UNITS_PER_INCH;
}

/** Size of text that is 7 points where `units` of a drawing are as wide as the paper. */
export function leastFont(units: number, { mm }: Paper): number {
  return (LEAST_POINTS / POINTS_PER_INCH) * UNITS_PER_INCH * Math.max(1, units / unitsOf(mm));
}

/** Width and height of a drawing, as attributes of its document. */
export function sizeOn(paper: Paper | null, width: number, height: number): string {
  const round = (value: number): number => Math.round(value * 100) / 100;
  if (!paper) return `width="${round(width)}" height="${round(height)}"`;
  return `width="${paper.mm}mm" height="${round((height / width) * paper.mm)}mm"`;
}

/** A PNG file that says how many pixels there are to an inch. */
export function withDensity(png: Uint8Array<ArrayBuffer>, dpi: number): Uint8Array<ArrayBuffer> {
  const perMetre = Math.round((dpi / MM_PER_INCH) * 1000);
  const chunk = new Uint8Array(21);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, 9);
  chunk.set([0x70, 0x48, 0x59, 0x73], 4); // pHYs
  view.setUint32(8, perMetre);
  view.setUint32(12, perMetre);
  chunk[16] = 1; // to the metre
  view.setUint32(17, crc32(chunk.subarray(4, 17)));
  const header = 8 + 25; // the signature and IHDR, which comes first
  const found = new Uint8Array(png.length + chunk.length);
  found.set(png.subarray(0, header));
  found.set(chunk, header);
  found.set(png.subarray(header), header + chunk.length);
  return found;
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

import { viridis } from './viridis';
import type { Table } from '../align/matrix';
import { fraction, type Encoding } from './encode';

const STEPS = 256;

/** The colours of viridis as bytes: parsing one string per cell would take most of the time. */
function palette(): Uint8ClampedArray {
  const bytes = new Uint8ClampedArray(3 * STEPS);
  for (let step = 0; step < STEPS; step++) {
    const colour = viridis(step / (STEPS - 1));
    const value = Number.parseInt(colour.slice(1), 16);
    bytes.set([value >> 16, (value >> 8) & 255, value & 255], 3 * step);
  }
  return bytes;
}

let colours: Uint8ClampedArray | null = null;

/** One pixel per pair; the browser enlarges it without smoothing. */
export function matrixImage(table: Table, encoding: Encoding): ImageData {
  colours ??= palette();
  const image = new ImageData(table.columns, table.rows);
  for (let at = 0; at < table.values.length; at++) {
    const value = table.values[at]!;
    if (!Number.isFinite(value)) continue;
    const step = Math.round(fraction(value, encoding) * (STEPS - 1));
    image.data.set(colours.subarray(3 * step, 3 * step + 3), 4 * at);
    image.data[4 * at + 3] = 255;
  }
  return image;
}

export function paintMatrix(
  canvas: HTMLCanvasElement,
  table: Table,
  encoding: Encoding,
  width: number,
  height: number,
): void {
  canvas.width = table.columns;
  canvas.height = table.rows;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  canvas.getContext('2d')?.putImageData(matrixImage(table, encoding), 0, 0);
}

/** A table as the address of a picture with one pixel per cell, or `size` times as many. */
export function tablePicture(table: Table, encoding: Encoding, size = 1): string {
  const small = document.createElement('canvas');
  small.width = table.columns;
  small.height = table.rows;
  small.getContext('2d')?.putImageData(matrixImage(table, encoding), 0, 0);
  if (size === 1) return small.toDataURL();
  // Not every program that shows SVG leaves pixels sharp as it enlarges them.
  const large = document.createElement('canvas');
  large.width = table.columns * size;
  large.height = table.rows * size;
  const context = large.getContext('2d');
  if (context) {
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, large.width, large.height);
  }
  return large.toDataURL();
}

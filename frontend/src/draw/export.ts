import type { Matrix } from '../api/types';
import type { Doubt } from './hatch';

/** A field of a CSV file: quoted where it must be, and never read as a formula. */
function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A cell without a value is empty. */
export function matrixCsv(matrix: Pick<Matrix, 'rows' | 'columns' | 'values'>): string {
  const width = matrix.columns.length;
  const lines = matrix.rows.map((name, row) => {
    const values = [...matrix.values.slice(row * width, (row + 1) * width)];
    return [field(name), ...values.map((v) => (Number.isFinite(v) ? v : ''))].join(',');
  });
  return [['', ...matrix.columns.map(field)].join(','), ...lines, ''].join('\n');
}

/** With the reason for each pair that the measure cannot tell. */
export function matrixJson(
  matrix: Matrix,
  doubt: (row: number, column: number) => Doubt | null,
): string {
  const { a, b, measure, rows, columns, low, high, warnings } = matrix;
  const width = columns.length;
  const values = rows.map((_, row) => [...matrix.values.slice(row * width, (row + 1) * width)]);
  const doubts = rows.map((_, row) => columns.map((_, column) => doubt(row, column)));
  const all = { a, b, measure, low, high, warnings, rows, columns, values, doubts };
  return JSON.stringify(all, null, 1);
}

/** One row of a list: what is in a column by the column's name. Null where there is nothing. */
export type Entry = Record<string, string | number | null>;

export function recordsCsv(records: readonly Entry[]): string {
  const columns = Object.keys(records[0] ?? {});
  const cell = (value: Entry[string] | undefined): string => {
    if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '';
    return field(value ?? '');
  };
  const lines = records.map((record) => columns.map((name) => cell(record[name])).join(','));
  return [columns.map(field).join(','), ...lines, ''].join('\n');
}

export function recordsJson(about: Record<string, unknown>, records: readonly Entry[]): string {
  return JSON.stringify({ ...about, records }, null, 1);
}

/** Hand a file to the reader. */
export function save(name: string, type: string, content: string | Blob): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name.replace(/[^\w.-]+/g, '_');
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** An SVG document as pixels, `scale` times its size. */
export async function rasterize(svg: string, scale: number): Promise<Blob> {
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth * scale;
    canvas.height = image.naturalHeight * scale;
    canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob) resolve(blob);
        else reject(new Error('The picture is too large for this browser: export SVG instead.'));
      });
    });
  } finally {
    URL.revokeObjectURL(url);
  }
}

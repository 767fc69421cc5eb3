import type { Matrix } from '../api/types';

/** A field of a CSV file: quoted where it must be, and never read as a formula. */
function field(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function matrixCsv(matrix: Matrix): string {
  const width = matrix.columns.length;
  const lines = matrix.rows.map((name, row) =>
    [field(name), ...matrix.values.slice(row * width, (row + 1) * width)].join(','),
  );
  return [['', ...matrix.columns.map(field)].join(','), ...lines, ''].join('\n');
}

export function matrixJson(matrix: Matrix): string {
  const { a, b, measure, rows, columns, low, high, warnings } = matrix;
  const width = columns.length;
  const values = rows.map((_, row) => [...matrix.values.slice(row * width, (row + 1) * width)]);
  return JSON.stringify({ a, b, measure, low, high, warnings, rows, columns, values }, null, 1);
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

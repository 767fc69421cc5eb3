/** Pictures of one sheet that the server makes: a screenful takes one or two. */
export const SHEET = 64;
/** Pictures in a row of a sheet, as the server lays them out. */
const SHEET_COLUMNS = 8;

/** What of a long grid is to be drawn, and how high all of it is. */
export interface Window {
  first: number;
  /** Excluded. */
  end: number;
  /** Above what is drawn, in pixels. */
  before: number;
  height: number;
}

/** Which of `count` cells, `across` in a row, are in sight, with a row more at either end. */
export function inSight(
  count: number,
  across: number,
  rowHeight: number,
  scrolled: number,
  seen: number,
): Window {
  const rows = Math.ceil(count / across);
  const last = Math.min(rows, Math.ceil((scrolled + seen) / rowHeight) + 1);
  const first = Math.max(0, Math.min(rows - 1, Math.floor(scrolled / rowHeight) - 1));
  return {
    first: first * across,
    end: Math.min(count, last * across),
    before: first * rowHeight,
    height: rows * rowHeight,
  };
}

/** On which sheet of a list the picture at `place` is, and where on it, in pictures. */
export function onSheet(
  place: number,
  count: number,
): { sheet: number; column: number; row: number; columns: number; rows: number } {
  const sheet = Math.floor(place / SHEET);
  const within = place % SHEET;
  const held = Math.min(SHEET, count - sheet * SHEET);
  const columns = Math.min(SHEET_COLUMNS, held);
  return {
    sheet,
    column: within % columns,
    row: Math.floor(within / columns),
    columns,
    rows: Math.ceil(held / columns),
  };
}

export interface Cell {
  row: number;
  column: number;
}

interface Size {
  rows: number;
  columns: number;
}

/** The cell there, or the nearest one. */
export function within({ row, column }: Cell, { rows, columns }: Size): Cell {
  return {
    row: Math.min(rows - 1, Math.max(0, row)),
    column: Math.min(columns - 1, Math.max(0, column)),
  };
}

/** The cell of a drawing that fills an element which the pointer is at. */
export function cellAt(event: PointerEvent | MouseEvent, size: Size): Cell {
  // Shares of what is seen, which a large screen magnifies.
  const bounds = (event.currentTarget as Element).getBoundingClientRect();
  const column = Math.floor(((event.clientX - bounds.left) / bounds.width) * size.columns);
  const row = Math.floor(((event.clientY - bounds.top) / bounds.height) * size.rows);
  return within({ row, column }, size);
}

const MOVES: Record<string, [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

interface Keys {
  /** Where arrows start. */
  cursor: Cell;
  onpoint: (cell: Cell | null) => void;
  onchoose: (cell: Cell) => void;
}

/** Arrows move over the cells, Enter chooses, Escape lets go. */
export function pressKey(event: KeyboardEvent, size: Size, keys: Keys): void {
  const move = MOVES[event.key];
  const { row, column } = keys.cursor;
  if (move) keys.onpoint(within({ row: row + move[0], column: column + move[1] }, size));
  else if (event.key === 'Enter') keys.onchoose(keys.cursor);
  else if (event.key === 'Escape') keys.onpoint(null);
  else return;
  event.preventDefault();
}

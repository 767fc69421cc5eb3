import { expect, it, vi } from 'vitest';
import { cellAt, pressKey, within, type Cell } from './cells';

const SIZE = { rows: 2, columns: 4 };

function press(key: string, cursor: Cell) {
  const heard = { onpoint: vi.fn(), onchoose: vi.fn(), preventDefault: vi.fn() };
  const event = { key, preventDefault: heard.preventDefault } as unknown as KeyboardEvent;
  pressKey(event, SIZE, { cursor, ...heard });
  return heard;
}

it('a cell is never outside of the table', () => {
  expect(within({ row: -1, column: 9 }, SIZE)).toEqual({ row: 0, column: 3 });
});

it('the pointer is in the cell that its share of the drawing says', () => {
  const bounds = { left: 100, top: 50, width: 400, height: 20 };
  const currentTarget = { getBoundingClientRect: () => bounds };
  const at = (clientX: number, clientY: number): Cell =>
    cellAt({ currentTarget, clientX, clientY } as unknown as PointerEvent, SIZE);
  expect(at(100, 50)).toEqual({ row: 0, column: 0 });
  expect(at(301, 61)).toEqual({ row: 1, column: 2 });
  expect(at(500, 70)).toEqual({ row: 1, column: 3 });
});

it('arrows move and stop at the edge, Enter chooses, Escape lets go, others are not taken', () => {
  expect(press('ArrowRight', { row: 0, column: 0 }).onpoint).toHaveBeenCalledWith({
    row: 0,
    column: 1,
  });
  expect(press('ArrowUp', { row: 0, column: 3 }).onpoint).toHaveBeenCalledWith({
    row: 0,
    column: 3,
  });
  expect(press('Enter', { row: 1, column: 2 }).onchoose).toHaveBeenCalledWith({
    row: 1,
    column: 2,
  });
  expect(press('Escape', { row: 1, column: 2 }).onpoint).toHaveBeenCalledWith(null);
  const other = press('a', { row: 0, column: 0 });
  expect(other.preventDefault).not.toHaveBeenCalled();
  expect(other.onpoint).not.toHaveBeenCalled();
});

import { describe, expect, it } from 'vitest';
import type { Table } from './matrix';
import { standsOut } from './standsOut';

const NO_BLOCKS = { a: [], b: [] };

/** Numbers from 0 to 1 that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return state / 4294967296;
  };
}
function tableOf(rows: number, columns: number, value: (i: number, j: number) => number): Table {
  const values = Float64Array.from({ length: rows * columns }, (_, at) =>
    value(Math.floor(at / columns), at % columns),
  );
  return { rows, columns, values };
}
/** Two models whose layers correspond in order of depth. */
const inOrder = (rows: number, columns: number): Table =>
  tableOf(rows, columns, (i, j) => 0.9 - 0.6 * Math.abs(i / (rows - 1) - j / (columns - 1)));
const kinds = (table: Table, blocks: Parameters<typeof standsOut>[1] = NO_BLOCKS): string[] =>
  standsOut(table, blocks, 1).map(({ kind }) => kind);

describe('what stands out', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is nothing in noise (%i)', (seed) => {
    const next = numbers(seed);
    const noise = (): number => 0.2 + 0.15 * (next() + next() + next() - 1.5);
    const blocks = [0, 4, 8].map((from) => ({ name: 'x', layers: [from, from + 1, from + 2] }));
    expect(kinds(tableOf(30, 24, noise), { a: blocks, b: blocks })).toEqual([]);
    const outlier = tableOf(12, 12, noise);
    expect(standsOut(outlier, NO_BLOCKS, 1)).toEqual([]);
  });

  it('is nothing in a model with itself, in equal values, or where there are few', () => {
    const itself = tableOf(30, 30, (i, j) => (i === j ? 1 : 0.9 ** Math.abs(i - j)));
    expect(kinds(itself)).toEqual([]);
    expect(kinds(tableOf(10, 10, () => 0.5))).toEqual([]);
    expect(kinds(tableOf(10, 10, () => NaN))).toEqual([]);
    expect(kinds(tableOf(2, 9, (i, j) => i * j))).toEqual([]);
    expect(kinds(inOrder(20, 30))).toEqual([]);
  });

  it('names the match that is off the order of depth', () => {
    const table = inOrder(20, 20);
    table.values[2 * 20 + 17] = 0.99;
    table.values[2 * 20 + 2] = 0.7;
    const [first] = standsOut(table, NO_BLOCKS, 1);
    expect(first).toMatchObject({ kind: 'order', layers: [2], partner: 17, value: 0.99 });
  });

  it('names a block without a counterpart', () => {
    const table = tableOf(
      20,
      20,
      (i, j) => (i >= 8 && i < 11 ? 0.2 : 0.8) - 0.01 * Math.abs(i - j),
    );
    const blocks = {
      a: [
        { name: 'inner', layers: [8, 9, 10] },
        { name: 'other', layers: [3, 4] },
      ],
      b: [],
    };
    const found = standsOut(table, blocks, 1).filter(({ kind }) => kind === 'block');
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ block: 'inner', side: 'a' });
    expect(found[0]!.value).toBeCloseTo(0.2, 1);
  });

  it('names layers that repeat those before them', () => {
    const next = numbers(9);
    const rows = Array.from({ length: 12 }, () => Array.from({ length: 12 }, () => next()));
    rows[6] = rows[5]!;
    rows[7] = rows[5]!;
    const found = standsOut(
      tableOf(12, 12, (i, j) => rows[i]![j]!),
      NO_BLOCKS,
      1,
    );
    expect(found.filter(({ kind }) => kind === 'repeat')).toMatchObject([
      { side: 'a', layers: [5, 6, 7] },
    ]);
  });

  it('says from which depth on similarity falls', () => {
    const table = tableOf(20, 20, (i, j) => (i < 12 ? 0.9 : 0.4) - 0.02 * Math.abs(i - j));
    const fall = standsOut(table, NO_BLOCKS, 1).find(({ kind }) => kind === 'fall');
    expect(fall!.layers[0]).toBe(12);
    expect(fall!.usual).toBeGreaterThan(0.85);
  });
});

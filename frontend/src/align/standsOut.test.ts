import { describe, expect, it } from 'vitest';
import type { Table } from './matrix';
import { holding, leastMatches, spanOf, standsOut, type Certain } from './standsOut';

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

/** Linear CKA of layers, each a list of units, each a list of values over images. */
function cka(p: readonly number[][], q: readonly number[][]): number {
  const centred = (unit: readonly number[]): number[] => {
    const mean = unit.reduce((sum, value) => sum + value, 0) / unit.length;
    return unit.map((value) => value - mean);
  };
  const [x, y] = [p.map(centred), q.map(centred)];
  const size = (u: readonly number[][], v: readonly number[][]): number =>
    u.reduce(
      (sum, one) =>
        sum +
        v.reduce(
          (all, two) => all + one.reduce((dot, value, k) => dot + value * two[k]!, 0) ** 2,
          0,
        ),
      0,
    );
  return size(x, y) / Math.sqrt(size(x, x) * size(y, y));
}

/** Layers of an untrained network over the same images: matrices of random weights, and ReLUs. */
function untrained(
  next: () => number,
  images: readonly number[][],
  widths: readonly number[],
): (readonly number[][])[] {
  let units: readonly number[][] = images;
  return widths.map((width) => {
    units = Array.from({ length: width }, () => {
      const weights = units.map(() => next() + next() + next() - 1.5);
      return units[0]!.map((_, image) =>
        Math.max(
          0,
          units.reduce((sum, unit, k) => sum + unit[image]! * weights[k]!, 0),
        ),
      );
    });
    return units;
  });
}

/** Two of them, compared; and the interval of a pair over resampled images. */
function twoUntrained(
  seed: number,
  rows: number,
  widths: readonly number[],
  outlier: number,
): { table: Table; certain: Certain } {
  const next = numbers(seed);
  const images = Array.from({ length: 8 }, () =>
    Array.from({ length: rows }, (_, k) => (k === 0 ? outlier : 1) * (next() + next() - 1)),
  );
  const [a, b] = [untrained(next, images, widths), untrained(next, images, widths)];
  const table = tableOf(a.length, b.length, (i, j) => cka(a[i]!, b[j]!));
  const certain: Certain = ([i, j]) => {
    const found = Array.from({ length: 40 }, () => {
      const drawn = Array.from({ length: rows }, () => Math.floor(next() * rows));
      const taken = (layer: readonly number[][]): number[][] =>
        layer.map((unit) => drawn.map((image) => unit[image]!));
      return cka(taken(a[i]!), taken(b[j]!));
    }).sort((p, q) => p - q);
    return { low: found[1]!, high: found[38]!, nullMean: 0 };
  };
  return { table, certain };
}

describe('what stands out', () => {
  const SEEDS = Array.from({ length: 20 }, (_, k) => k + 1);
  const FORMS: [string, number, number[], number][] = [
    ['layers', 24, Array<number>(8).fill(10), 1],
    ['wide layers', 12, Array<number>(6).fill(24), 1],
    ['few rows', 6, Array<number>(8).fill(10), 1],
    ['many layers', 14, Array<number>(18).fill(6), 1],
    ['one outlier', 30, Array<number>(8).fill(10), 50],
  ];
  it.each(FORMS)('is nothing in two untrained networks: %s', (_, rows, widths, outlier) => {
    const parts = [
      { name: 'first', layers: [0, 1, 2] },
      { name: 'last', layers: [3, 4, 5] },
    ];
    for (const seed of SEEDS) {
      const { table, certain } = twoUntrained(seed, rows, widths, outlier);
      const found = holding(standsOut(table, { a: parts, b: parts }, 1), certain);
      expect([seed, ...found.map(({ kind }) => kind)]).toEqual([seed]);
    }
  });

  it('asks intervals where there are some', () => {
    const table = inOrder(20, 20);
    table.values[2 * 20 + 17] = 0.99;
    table.values[2 * 20 + 2] = 0.7;
    const [found] = standsOut(table, NO_BLOCKS, 1);
    const value = ([i, j]: readonly [number, number]): number => table.values[i * 20 + j]!;
    const within =
      (by: number): Certain =>
      (pair) => ({ low: value(pair) - by, high: value(pair) + by, nullMean: 0 });
    expect(holding([found!], within(0.05))).toHaveLength(1);
    expect(holding([found!], within(0.3))).toEqual([]);
    expect(holding([found!], () => null)).toEqual([]);
  });

  it('names layers that are not above the null, unless none is', () => {
    const table = tableOf(12, 12, (i, j) => (i === 4 ? 0.1 : 0.8) - 0.01 * Math.abs(i - j));
    const value = ([i, j]: readonly [number, number]): number => table.values[i * 12 + j]!;
    const against =
      (nullMean: number): Certain =>
      (pair) => ({ low: value(pair) - 0.05, high: value(pair) + 0.05, nullMean });
    const least = leastMatches(table, 1);
    expect(holding(least, against(0.2))).toMatchObject([{ side: 'a', layers: [4], usual: 0.2 }]);
    expect(holding(least, against(0.01))).toEqual([]);
    expect(holding(least, against(0.9))).toEqual([]); // unrelated models
  });

  it('names layers that match far less than those beside them', () => {
    const low = new Set([6, 10]);
    const table = tableOf(16, 16, (i, j) => (low.has(i) ? 0.3 : 0.8) - 0.02 * Math.abs(i - j));
    const found = standsOut(table, NO_BLOCKS, 1).filter(({ kind }) => kind === 'layer');
    expect(found).toMatchObject([{ side: 'a', layers: [6, 10] }]);
  });

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

  it('names one layer that repeats another, and none among layers that match nothing', () => {
    const next = numbers(4);
    const rows = Array.from({ length: 12 }, () => Array.from({ length: 12 }, () => next()));
    rows[6] = rows[5]!.map((value) => value + 0.01);
    for (const unrelated of [8, 9, 10]) rows[unrelated] = rows[0]!.map(() => 0.01 * next());
    const found = standsOut(
      tableOf(12, 12, (i, j) => rows[i]![j]!),
      NO_BLOCKS,
      1,
    );
    expect(found.filter(({ kind }) => kind === 'repeat')).toMatchObject([{ layers: [5, 6] }]);
  });

  it('asks of no layer whether it is above the null that matches nearly as others do', () => {
    const table = tableOf(12, 12, (i, j) => (i === 4 ? 0.15 : 0.3) - 0.01 * Math.abs(i - j));
    expect(leastMatches(table, 1)).toEqual([]);
    expect(leastMatches(table, 0.5).map(({ side, layers }) => [side, ...layers])).toEqual([
      ['a', 4],
    ]);
    const certain: Certain = (pair) => ({
      low: 0.1,
      high: pair[0] === 4 ? 0.25 : 0.4,
      nullMean: 0.2,
    });
    const overlapping: Certain = (pair) => ({ ...certain(pair)!, low: pair[0] === 4 ? 0.1 : 0.22 });
    expect(holding(leastMatches(table, 0.5), overlapping)).toEqual([]);
  });

  it.each([
    ['from zero to one', { low: 0, high: 1, distance: false }, 1],
    ['debiased', { low: -1, high: 1, distance: false }, 1],
    ['held-out prediction', { low: null, high: 1, distance: false }, 1],
    ['an angle', { low: 0, high: 1.5, distance: true }, 1.5],
    ['a distance without a bound', { low: 0, high: null, distance: true }, 0.6],
  ])('counts in how far related layers can be apart: %s', (_, measure, span) => {
    expect(
      spanOf(
        measure,
        tableOf(2, 2, (i, j) => 0.2 + 0.3 * (i + j)),
      ),
    ).toBeCloseTo(span);
  });

  it('says from which depth on similarity falls', () => {
    const table = tableOf(20, 20, (i, j) => (i < 12 ? 0.9 : 0.4) - 0.02 * Math.abs(i - j));
    const fall = standsOut(table, NO_BLOCKS, 1).find(({ kind }) => kind === 'fall');
    expect(fall!.layers[0]).toBe(12);
    expect(fall!.usual).toBeGreaterThan(0.85);
  });
});

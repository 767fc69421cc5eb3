/**
 * What stands out in simulated models: nothing where nothing is, and what was put there.
 *
 * `STANDS_OUT_SEEDS=20 npx vitest run src/align/standsOut.simulated.test.ts` takes more models.
 */
import { describe, expect, it } from 'vitest';
import type { Table } from './matrix';
import { holding, leastMatches, standsOut, type Certain, type Finding } from './standsOut';

const SEEDS = Number(process.env['STANDS_OUT_SEEDS'] ?? 2);
const IMAGES = 60;
const UNITS = 24;
const KNOWN = 8;
const ASKED = 8; // as the tab does
const BLOCKS = 20;
const T = 2.093; // Student's, of 19 degrees of freedom

type Layer = readonly Float64Array[]; // units, each with a value for each image

/** Normal numbers that are the same in every run. */
function normal(seed: number): () => number {
  let state = seed;
  const next = (): number => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return (state + 0.5) / 4294967296;
  };
  for (let k = 0; k < 8; k++) next();
  return () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
}
const rowsOf = (next: () => number, width: number): Layer =>
  Array.from({ length: width }, () => Float64Array.from({ length: IMAGES }, next));

/** Each unit a random sum of units, and some noise of its own. */
function mixed(next: () => number, from: Layer, width: number, noise: number): Layer {
  return Array.from({ length: width }, () => {
    const unit = Float64Array.from({ length: IMAGES }, () => noise * next());
    for (const one of from) {
      const weight = next() / Math.sqrt(from.length);
      for (let k = 0; k < IMAGES; k++) unit[k]! += weight * one[k]!;
    }
    return unit;
  });
}
const rectified = (layer: Layer): Layer =>
  layer.map((unit) => unit.map((value) => Math.max(0, value)));
const together = (p: Layer, q: Layer, share: number): Layer =>
  p.map((unit, u) => unit.map((value, k) => share * value + Math.sqrt(1 - share ** 2) * q[u]![k]!));

/** What the layers of a model know: each somewhat of what the one before knows. */
function knowledge(next: () => number, depth: number): Layer[] {
  const stays = Math.sqrt(1 - Math.min(0.8, 8 / depth));
  const layers = [rowsOf(next, KNOWN)];
  while (layers.length < depth) layers.push(together(layers.at(-1)!, rowsOf(next, KNOWN), stays));
  return layers;
}
const trained = (next: () => number, known: readonly Layer[]): Layer[] =>
  known.map((one) => mixed(next, one, UNITS, 0.5));
function untrained(next: () => number, images: Layer, depth: number): Layer[] {
  const layers = [rectified(mixed(next, images, UNITS, 0))];
  while (layers.length < depth) layers.push(rectified(mixed(next, layers.at(-1)!, UNITS, 0)));
  return layers;
}

/** Products of images, of which those of some images are a part. */
function products(layer: Layer): Float64Array {
  const all = new Float64Array(IMAGES * IMAGES);
  for (const unit of layer) {
    for (let i = 0; i < IMAGES; i++) {
      for (let j = 0; j < IMAGES; j++) all[i * IMAGES + j]! += unit[i]! * unit[j]!;
    }
  }
  return all;
}
/** The products of some images about the mean of these, of size 1: linear CKA is a dot product. */
function gram(all: Float64Array, images: readonly number[]): Float64Array {
  const n = images.length;
  const some = new Float64Array(n * n);
  const means = new Float64Array(n);
  images.forEach((p, i) =>
    images.forEach((q, j) => {
      some[i * n + j] = all[p * IMAGES + q]!;
      means[i]! += some[i * n + j]! / n;
    }),
  );
  const mean = means.reduce((sum, value) => sum + value, 0) / n;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) some[i * n + j]! += mean - means[i]! - means[j]!;
  }
  const size = Math.hypot(...some);
  return some.map((value) => value / size);
}
const dot = (p: Float64Array, q: Float64Array): number => {
  let sum = 0;
  for (let k = 0; k < p.length; k++) sum += p[k]! * q[k]!;
  return sum;
};
const ALL = Array.from({ length: IMAGES }, (_, k) => k);

/** What stands out, as the tab finds it: with a jackknife over blocks of images, and a null. */
function found(a: readonly Layer[], b: readonly Layer[], next: () => number): Finding[] {
  const [p, q] = [a.map(products), b.map(products)];
  const [x, y] = [p, q].map((side) => side.map((one) => gram(one, ALL)));
  const values = new Float64Array(a.length * b.length);
  a.forEach((_, i) => b.forEach((_, j) => (values[i * b.length + j] = dot(x![i]!, y![j]!))));
  const table: Table = { rows: a.length, columns: b.length, values };
  const certain: Certain = ([i, j]) => {
    const left = Array.from({ length: BLOCKS }, (_, block) => {
      const kept = ALL.filter((k) => k % BLOCKS !== block);
      return dot(gram(p[i]!, kept), gram(q[j]!, kept));
    });
    const mean = left.reduce((sum, value) => sum + value, 0) / BLOCKS;
    const squares = left.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const half = T * Math.sqrt((squares * (BLOCKS - 1)) / BLOCKS);
    const order = ALL.map((k) => [next(), k] as const).sort((one, two) => one[0] - two[0]);
    const value = values[i * b.length + j]!;
    const null_ = dot(
      x![i]!,
      gram(
        q[j]!,
        order.map(([, k]) => k),
      ),
    );
    return { low: value - half, high: value + half, nullMean: null_ };
  };
  const parts = (depth: number) =>
    Array.from({ length: Math.floor(depth / 4) }, (_, k) => ({
      name: `block ${k}`,
      layers: [0, 1, 2, 3].map((more) => 4 * k + more),
    }));
  const blocks = { a: parts(a.length), b: parts(b.length) };
  const all = standsOut(table, blocks, 1).slice(0, ASKED);
  return holding([...all, ...leastMatches(table, 1)], certain);
}

const LIMIT = 60_000 * SEEDS;
const seeds = Array.from({ length: SEEDS }, (_, k) => k + 1);
const text = (list: readonly Finding[]): string[] =>
  list.map(({ kind, side, layers }) => `${kind} of ${side}${layers[0]}`);

describe('what stands out in simulated models', () => {
  const NOTHING: Record<string, (next: () => number, depth: number) => [Layer[], Layer[]]> = {
    'two untrained networks': (next, depth) => {
      const images = rowsOf(next, KNOWN);
      return [untrained(next, images, depth), untrained(next, images, depth)];
    },
    noise: (next, depth) => {
      const one = (): Layer[] => Array.from({ length: depth }, () => rowsOf(next, UNITS));
      return [one(), one()];
    },
    'a network and itself': (next, depth) => {
      const one = trained(next, knowledge(next, depth));
      return [one, one];
    },
    'two trainings of a network': (next, depth) => {
      const known = knowledge(next, depth);
      return [trained(next, known), trained(next, known)];
    },
  };
  it.each(Object.keys(NOTHING))(
    'is nothing in %s',
    (name) => {
      const wrong = seeds.flatMap((seed) => {
        const next = normal(seed);
        const list = found(...NOTHING[name]!(next, 16), next);
        return list.length ? [`${seed}: ${text(list).join(', ')}`] : [];
      });
      expect(wrong.slice(Math.floor(SEEDS / 20))).toEqual([]);
    },
    LIMIT,
  );

  const PLANTED: [string, Finding['kind'], number, (known: Layer[], next: () => number) => void][] =
    [
      [
        'layers that changed places',
        'order',
        3,
        (known) => ([known[3], known[12]] = [known[12]!, known[3]!]),
      ],
      [
        'a block without a counterpart',
        'block',
        8,
        (known, next) => [8, 9, 10, 11].forEach((k) => (known[k] = rowsOf(next, KNOWN))),
      ],
      [
        'a layer without a counterpart',
        'layer',
        9,
        (known, next) => (known[9] = rowsOf(next, KNOWN)),
      ],
      [
        'a step from which on much is different',
        'fall',
        8,
        (known, next) => {
          const other = knowledge(next, known.length);
          for (let k = 8; k < 16; k++) known[k] = together(known[k]!, other[k]!, 0.5);
        },
      ],
    ];
  it.each(PLANTED)(
    'is %s',
    (_, kind, layer, plant) => {
      const missed = seeds.flatMap((seed) => {
        const next = normal(seed);
        const known = knowledge(next, 16);
        const b = trained(next, known);
        plant(known, next);
        const list = found(trained(next, known), b, next);
        const there = list.some((one) => one.kind === kind && one.layers.includes(layer));
        return there ? [] : [`${seed}: ${text(list).join(', ')}`];
      });
      expect(missed.slice(Math.floor(SEEDS / 10))).toEqual([]);
    },
    LIMIT,
  );

  it.each([1, 2])(
    'is a layer that is repeated, %i times',
    (times) => {
      const missed = seeds.flatMap((seed) => {
        const next = normal(seed);
        const known = knowledge(next, 16);
        const [a, b] = [trained(next, known), trained(next, known)];
        for (let k = 1; k <= times; k++) {
          a[6 + k] = a[6]!.map((unit) => unit.map((value) => value + 0.05 * next()));
        }
        const list = found(a, b, next).filter((one) => one.kind === 'repeat');
        return list.some((one) => one.side === 'a' && one.layers[0] === 6)
          ? []
          : [`${seed}: ${text(list).join(', ')}`];
      });
      expect(missed.slice(Math.floor(SEEDS / 10))).toEqual([]);
    },
    LIMIT,
  );

  it(
    'is nothing in a chain of 120 layers, and what is put there',
    () => {
      const next = normal(7);
      const known = knowledge(next, 120);
      const b = trained(next, known);
      const kinds = (change: (known: Layer[]) => void): string[] => {
        const changed = [...known];
        change(changed);
        return found(trained(next, changed), b, next).map(({ kind }) => kind);
      };
      expect(kinds(() => undefined)).toEqual([]);
      expect(
        kinds((all) => [60, 61, 62, 63].forEach((k) => (all[k] = rowsOf(next, KNOWN)))),
      ).toContain('block');
      expect(kinds((all) => ([all[20], all[90]] = [all[90]!, all[20]!]))).toContain('order');
      const other = knowledge(next, 120);
      const fallen = kinds((all) => {
        for (let k = 60; k < 120; k++) all[k] = together(all[k]!, other[k]!, 0.4);
      });
      expect(fallen).toContain('fall');
    },
    LIMIT,
  );
});

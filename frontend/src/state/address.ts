import type { Scale } from '../align/matrix';
import type { Rule } from '../align/select';
import type { Side } from '../draw/figure';
import type { Parameters } from '../host/hash';

export const SIDES = ['a', 'b'] as const;
export const OTHER: Record<Side, Side> = { a: 'b', b: 'a' };

export interface Selection {
  side: Side;
  layer: string;
}

export const PANES = ['graph', 'matrix', 'both', 'models', 'training'] as const;
const SCALES = ['raw', 'fit', 'rank', 'null'] as const;
export const RULES = ['top', 'best', 'one', 'path', 'all'] as const;
export const PER = ['last', 'some', 'all'] as const;
/** How steps lie on the axis of a curve. */
export const AXES = ['linear', 'log'] as const;
export type Axis = (typeof AXES)[number];
export const METRICS = ['angular_cka', 'procrustes_angle'] as const;

/** Everything that the address holds. */
export interface View {
  a: string | null;
  b: string | null;
  measure: string | null;
  selection: Selection | null;
  unit: number | null;
  /** The layer of the other model that makes a pair with the chosen one. */
  pair: string | null;
  pane: (typeof PANES)[number];
  scale: Scale;
  rule: Rule;
  top: number;
  threshold: number | null;
  /** Blocks whose folding differs from what the width asks for. */
  folded: Record<Side, string[]>;
  unfolded: Record<Side, string[]>;
  /** An image of the probe, or the digest of a photo of one's own. */
  image: number | string | null;
  /** Models that stand beside the two in the panel of a unit. */
  more: string[];
  /** Snapshots that the reader says are other trainings of one of the two models. */
  seeds: string[];
  /** Whose graph TensorBoard's own dashboard shows below, if it is open. */
  graphs: Side | null;
  /** Pinned: what models and steps are compared with. */
  reference: string | null;
  /** Which layers are shown, as the reader wrote it. */
  filter: string | null;
  /** Over training: the other side's layer, and from what value on a layer is frozen. */
  partner: string | null;
  freeze: number | null;
  /** Whether colours show the share of the change from the first step to the last. */
  way: boolean;
  /** How steps lie on the axis of curves; null for what suits them. */
  axis: Axis | null;
  /** How many steps of each run are models on the map, and by which metric. */
  per: (typeof PER)[number];
  metric: (typeof METRICS)[number];
}

/** How a value stands in an address; nothing where it is not there. */
interface Codec<T> {
  /** Whatever the address says, a value comes out: null where it says none. */
  read: (text: string) => T | null;
  write: (value: NonNullable<T>) => string;
}

const text: Codec<string> = { read: (t) => t || null, write: (value) => value };
const flag: Codec<boolean> = {
  read: (t) => (t === '1' ? true : null),
  write: (value) => (value ? '1' : ''),
};
const whole: Codec<number> = {
  read: (t) => (/^\d{1,9}$/.test(t) ? Number(t) : null),
  write: String,
};
const decimal: Codec<number> = {
  read: (t) => (t !== '' && Number.isFinite(Number(t)) ? Number(t) : null),
  write: String,
};
const names: Codec<string[]> = {
  read: (t) =>
    t
      .split(',')
      .filter((name) => name !== '')
      .flatMap((name) => {
        try {
          return [decodeURIComponent(name)];
        } catch {
          return [];
        }
      }),
  write: (list) => list.map(encodeURIComponent).join(','),
};
const image: Codec<number | string> = {
  read: (t) => whole.read(t) ?? (/^[0-9a-f]{64}$/.test(t) ? t : null),
  write: String,
};
function within(least: number, most: number): Codec<number> {
  return {
    read: (t) => {
      const value = whole.read(t);
      return value === null ? null : Math.min(most, Math.max(least, value));
    },
    write: String,
  };
}
function oneOf<T extends string>(allowed: readonly T[]): Codec<T> {
  return { read: (t) => allowed.find((value) => value === t) ?? null, write: (value) => value };
}

/** One key of the address and the part of the view that it holds. */
interface Key {
  key: string;
  read: (into: View, parameters: Parameters) => void;
  /** Null for the default: addresses stay short. */
  write: (view: View) => string | null;
}

function part<T>(
  key: string,
  codec: Codec<T>,
  otherwise: T,
  get: (view: View) => T,
  set: (view: View, value: T) => void,
): Key {
  return {
    key,
    read: (into, parameters) => {
      const found = parameters[key];
      set(into, (found === undefined ? null : codec.read(found)) ?? otherwise);
    },
    write: (view) => {
      const value = get(view);
      if (value === null || value === undefined || value === otherwise) return null;
      return codec.write(value) || null;
    },
  };
}

function field<K extends keyof View>(
  key: string,
  name: K,
  codec: Codec<View[K]> | Codec<NonNullable<View[K]>>,
  otherwise: View[K],
): Key {
  return part<View[K]>(
    key,
    codec as Codec<View[K]>,
    otherwise,
    (view) => view[name],
    (view, value) => {
      view[name] = value;
    },
  );
}

/** Every key of the address: what it is called, how it is read and written, and its default. */
const KEYS: readonly Key[] = [
  field('a', 'a', text, null),
  field('b', 'b', text, null),
  field('measure', 'measure', text, null),
  part<string | null>(
    'layer',
    text as Codec<string | null>,
    null,
    (view) => view.selection?.layer ?? null,
    (view, layer) => (view.selection = layer === null ? null : { side: 'a', layer }),
  ),
  part<Side | null>(
    'side',
    oneOf<Side>(['a', 'b']) as Codec<Side | null>,
    null,
    (view) => view.selection?.side ?? null,
    (view, side) => {
      if (view.selection && side) view.selection.side = side;
    },
  ),
  // A unit is one of the chosen layer.
  part<number | null>(
    'unit',
    whole as Codec<number | null>,
    null,
    (view) => view.unit,
    (view, unit) => (view.unit = view.selection ? unit : null),
  ),
  part<string | null>(
    'pair',
    text as Codec<string | null>,
    null,
    (view) => view.pair,
    (view, pair) => (view.pair = view.selection ? pair : null),
  ),
  field('view', 'pane', oneOf(PANES), 'graph'),
  field('scale', 'scale', oneOf(SCALES), 'raw'),
  field('lines', 'rule', oneOf(RULES), 'top'),
  field('top', 'top', within(1, 20), 1),
  field('min', 'threshold', decimal, null),
  ...SIDES.flatMap((side) => [
    part<string[]>(
      `fold${side.toUpperCase()}`,
      names,
      [],
      (view) => view.folded[side],
      (view, list) => (view.folded[side] = [...list]),
    ),
    part<string[]>(
      `open${side.toUpperCase()}`,
      names,
      [],
      (view) => view.unfolded[side],
      (view, list) => (view.unfolded[side] = [...list]),
    ),
  ]),
  field('image', 'image', image, null),
  part<string[]>(
    'more',
    names,
    [],
    (view) => view.more,
    (view, list) => (view.more = [...list]),
  ),
  part<string[]>(
    'seeds',
    names,
    [],
    (view) => view.seeds,
    (view, list) => (view.seeds = [...list]),
  ),
  field('graphs', 'graphs', oneOf<Side>(['a', 'b']), null),
  field('ref', 'reference', text, null),
  field('filter', 'filter', text, null),
  field('with', 'partner', text, null),
  field('freeze', 'freeze', decimal, null),
  field('way', 'way', flag, false),
  field('axis', 'axis', oneOf(AXES), null),
  field('per', 'per', oneOf(PER), 'some'),
  field('metric', 'metric', oneOf(METRICS), 'angular_cka'),
];

export const OWNED_KEYS: readonly string[] = KEYS.map(({ key }) => key);

export function readView(parameters: Parameters): View {
  const view = { folded: {}, unfolded: {} } as View;
  for (const key of KEYS) key.read(view, parameters);
  return view;
}

export function writeView(view: View): Parameters {
  return Object.fromEntries(
    KEYS.flatMap(({ key, write }) => {
      const written = write(view);
      return written === null ? [] : [[key, written]];
    }),
  );
}

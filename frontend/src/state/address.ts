import type { Scale } from '../align/matrix';
import type { Rule } from '../align/select';
import type { Side } from '../draw/figure';
import type { Parameters } from '../host/hash';

export const OTHER: Record<Side, Side> = { a: 'b', b: 'a' };

export interface Selection {
  side: Side;
  layer: string;
}

const PANES = ['graph', 'matrix', 'both', 'models', 'training'] as const;
export const PER = ['last', 'some', 'all'] as const;
export const METRICS = ['angular_cka', 'procrustes_angle'] as const;

/** Everything that the address holds. */
export interface View {
  a: string | null;
  b: string | null;
  measure: string | null;
  selection: Selection | null;
  unit: number | null;
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
  /** Whose graph TensorBoard's own dashboard shows below, if it is open. */
  graphs: Side | null;
  /** Pinned: what models and steps are compared with. */
  reference: string | null;
  /** Over training: the other side's layer, and from what value on a layer is frozen. */
  partner: string | null;
  freeze: number | null;
  /** Whether colours show the share of the way from the first step to the last. */
  way: boolean;
  /** How many steps of each run are models on the map, and by which metric. */
  per: (typeof PER)[number];
  metric: (typeof METRICS)[number];
}

export const DEFAULTS: View = {
  a: null,
  b: null,
  measure: null,
  selection: null,
  unit: null,
  pane: 'graph',
  scale: 'raw',
  rule: 'top',
  top: 1,
  threshold: null,
  folded: { a: [], b: [] },
  unfolded: { a: [], b: [] },
  image: null,
  graphs: null,
  reference: null,
  partner: null,
  freeze: null,
  way: false,
  per: 'some',
  metric: 'angular_cka',
};

const SCALES = ['raw', 'fit', 'rank', 'null'] as const;
export const RULES = ['top', 'best', 'one', 'path', 'all'] as const;

export const OWNED_KEYS = [
  'a',
  'b',
  'measure',
  'side',
  'layer',
  'unit',
  'view',
  'scale',
  'lines',
  'top',
  'min',
  'foldA',
  'foldB',
  'openA',
  'openB',
  'image',
  'graphs',
  'ref',
  'with',
  'freeze',
  'way',
  'per',
  'metric',
] as const;

function oneOf<T extends string>(text: string | undefined, allowed: readonly T[], other: T): T {
  return allowed.find((value) => value === text) ?? other;
}

function whole(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : null;
}

function decimal(text: string | undefined): number | null {
  const value = text === undefined || text === '' ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

function names(text: string | undefined): string[] {
  if (!text) return [];
  return text.split(',').flatMap((name) => {
    try {
      return [decodeURIComponent(name)];
    } catch {
      return [];
    }
  });
}

/** Whatever the address says, a view comes out. */
export function readView(p: Parameters): View {
  return {
    a: p.a || null,
    b: p.b || null,
    measure: p.measure || null,
    selection: p.layer ? { side: oneOf(p.side, ['a', 'b'], 'a'), layer: p.layer } : null,
    unit: p.layer ? whole(p.unit) : null,
    pane: oneOf(p.view, PANES, DEFAULTS.pane),
    scale: oneOf(p.scale, SCALES, DEFAULTS.scale),
    rule: oneOf(p.lines, RULES, DEFAULTS.rule),
    top: Math.min(20, Math.max(1, whole(p.top) ?? DEFAULTS.top)),
    threshold: decimal(p.min),
    folded: { a: names(p.foldA), b: names(p.foldB) },
    unfolded: { a: names(p.openA), b: names(p.openB) },
    image: whole(p.image) ?? (/^[0-9a-f]{64}$/.test(p.image ?? '') ? p.image! : null),
    graphs: p.graphs === 'a' || p.graphs === 'b' ? p.graphs : null,
    reference: p.ref || null,
    partner: p.with || null,
    freeze: decimal(p.freeze),
    way: p.way === '1',
    per: oneOf(p.per, PER, DEFAULTS.per),
    metric: oneOf(p.metric, METRICS, DEFAULTS.metric),
  };
}

/** Only what differs from the defaults: addresses stay short. */
export function writeView(view: View): Parameters {
  const list = (items: readonly string[]): string => items.map(encodeURIComponent).join(',');
  const all: [string, string | null][] = [
    ['a', view.a],
    ['b', view.b],
    ['measure', view.measure],
    ['side', view.selection?.side ?? null],
    ['layer', view.selection?.layer ?? null],
    ['unit', view.unit === null ? null : String(view.unit)],
    ['view', view.pane === DEFAULTS.pane ? null : view.pane],
    ['scale', view.scale === DEFAULTS.scale ? null : view.scale],
    ['lines', view.rule === DEFAULTS.rule ? null : view.rule],
    ['top', view.top === DEFAULTS.top ? null : String(view.top)],
    ['min', view.threshold === null ? null : String(view.threshold)],
    ['foldA', list(view.folded.a)],
    ['foldB', list(view.folded.b)],
    ['openA', list(view.unfolded.a)],
    ['openB', list(view.unfolded.b)],
    ['image', view.image === null ? null : String(view.image)],
    ['graphs', view.graphs],
    ['ref', view.reference],
    ['with', view.partner],
    ['freeze', view.freeze === null ? null : String(view.freeze)],
    ['way', view.way ? '1' : null],
    ['per', view.per === DEFAULTS.per ? null : view.per],
    ['metric', view.metric === DEFAULTS.metric ? null : view.metric],
  ];
  return Object.fromEntries(
    all.filter((pair): pair is [string, string] => pair[1] !== null && pair[1] !== ''),
  );
}

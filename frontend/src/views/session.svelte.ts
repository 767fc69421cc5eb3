import { matches, scaled, type Scale, type Table } from '../align/matrix';
import type { Rule } from '../align/select';
import { ApiError, follow, type Source } from '../api/source';
import type {
  Job,
  JobRequest,
  LayerGraph,
  Listing,
  Matrix,
  MeasureInfo,
  NamedError,
  SnapshotInfo,
} from '../api/types';
import type { Side } from '../draw/figure';
import type { Parameters } from '../host/hash';

export type { Side };

export const OTHER: Record<Side, Side> = { a: 'b', b: 'a' };

export interface Selection {
  side: Side;
  layer: string;
}

/** Everything that the address holds. */
export interface View {
  a: string | null;
  b: string | null;
  measure: string | null;
  selection: Selection | null;
  unit: number | null;
  pane: 'graph' | 'matrix' | 'both';
  scale: Scale;
  rule: Rule;
  top: number;
  threshold: number | null;
  /** Blocks whose folding differs from what the width asks for. */
  folded: Record<Side, string[]>;
  unfolded: Record<Side, string[]>;
  image: number | null;
  /** Whose graph TensorBoard's own dashboard shows below, if it is open. */
  graphs: Side | null;
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
};

const PANES = ['graph', 'matrix', 'both'] as const;
const SCALES = ['raw', 'fit', 'rank'] as const;
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
] as const;

function oneOf<T extends string>(text: string | undefined, allowed: readonly T[], other: T): T {
  return allowed.find((value) => value === text) ?? other;
}

function whole(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : null;
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
  const threshold = p.min === undefined || p.min === '' ? NaN : Number(p.min);
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
    threshold: Number.isFinite(threshold) ? threshold : null,
    folded: { a: names(p.foldA), b: names(p.foldB) },
    unfolded: { a: names(p.openA), b: names(p.openB) },
    image: whole(p.image),
    graphs: p.graphs === 'a' || p.graphs === 'b' ? p.graphs : null,
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
  ];
  return Object.fromEntries(
    all.filter((pair): pair is [string, string] => pair[1] !== null && pair[1] !== ''),
  );
}

export function asNamedError(thrown: unknown): NamedError {
  if (thrown instanceof ApiError) return { type: thrown.type, message: thrown.message };
  return { type: 'Error', message: thrown instanceof Error ? thrown.message : String(thrown) };
}

/** A job that a view follows: its last report, or why there is none. */
export interface Followed {
  job: Job | null;
  error: NamedError | null;
}

/** The state of one tab and the loading of what it shows. */
export function createSession(source: Source, parameters: Parameters) {
  const view = $state<View>(readView(parameters));
  const data = $state<{
    listing: Listing | null;
    listingError: NamedError | null;
    measures: MeasureInfo[];
    graphs: Record<Side, LayerGraph | null>;
    graphErrors: Record<Side, NamedError | null>;
    job: Job | null;
    matrixError: NamedError | null;
    hover: Selection | null;
  }>({
    listing: null,
    listingError: null,
    measures: [],
    graphs: { a: null, b: null },
    graphErrors: { a: null, b: null },
    job: null,
    matrixError: null,
    hover: null,
  });
  // Large and never changed in place: proxies would only cost.
  let matrix = $state.raw<Matrix | null>(null);

  const table = $derived.by<Table | null>(() =>
    matrix
      ? { rows: matrix.rows.length, columns: matrix.columns.length, values: matrix.values }
      : null,
  );
  const shown = $derived(table ? scaled(table, view.scale) : null);
  const measure = $derived(data.measures.find((m) => m.name === view.measure) ?? null);

  function snapshot(side: Side): SnapshotInfo | null {
    return data.listing?.snapshots.find((s) => s.id === view[side]) ?? null;
  }

  async function refresh(): Promise<void> {
    // Measures are the same as long as the server runs, and may take it a moment to import.
    if (data.measures.length === 0) void loadMeasures();
    try {
      const listing = await source.snapshots();
      data.listing = listing;
      data.listingError = null;
      // A first look should show something: two snapshots of one probe.
      const probe = (snapshot('a') ?? snapshot('b') ?? listing.snapshots[0])?.probe_id;
      const fitting = listing.snapshots.filter((s) => s.probe_id === probe);
      view.a ??= fitting[0]?.id ?? null;
      view.b ??= fitting.find((s) => s.id !== view.a)?.id ?? view.a;
    } catch (thrown) {
      data.listingError = asNamedError(thrown);
    }
  }

  async function loadMeasures(): Promise<void> {
    try {
      const measures = await source.measures();
      data.measures = measures.measures;
      view.measure ??= measures.default;
    } catch (thrown) {
      data.matrixError = asNamedError(thrown);
    }
  }

  async function loadGraph(side: Side, id: string | null, digest: string | null): Promise<void> {
    data.graphErrors[side] = null;
    if (id === null || digest === null) {
      data.graphs[side] = null;
      return;
    }
    try {
      const graph = await source.graph(id);
      if (view[side] === id) data.graphs[side] = graph;
    } catch (thrown) {
      if (view[side] !== id) return;
      data.graphs[side] = null;
      data.graphErrors[side] = asNamedError(thrown);
    }
  }

  async function compare(request: JobRequest, signal: AbortSignal): Promise<void> {
    data.matrixError = null;
    try {
      const job = await follow(source, request, (report) => (data.job = report), signal);
      if (signal.aborted) return;
      if (job.status === 'done') {
        const loaded = await source.matrix(job.id);
        if (!signal.aborted) matrix = loaded;
      } else {
        matrix = null;
        data.matrixError = job.error ?? {
          type: 'Cancelled',
          message: 'The comparison was cancelled.',
        };
      }
    } catch (thrown) {
      if (signal.aborted) return;
      matrix = null;
      data.job = null;
      data.matrixError = asNamedError(thrown);
    }
  }

  function layerNames(side: Side): string[] {
    return matrix ? (side === 'a' ? matrix.rows : matrix.columns) : [];
  }

  function layerMatches(selection: Selection): { layer: string; value: number }[] {
    const index = layerNames(selection.side).indexOf(selection.layer);
    if (!table || index < 0) return [];
    const others = layerNames(OTHER[selection.side]);
    return matches(table, selection.side, index).map((match) => ({
      layer: others[match.index]!,
      value: match.value,
    }));
  }

  return {
    source,
    view,
    data,
    /** Set by the alignment graph while it is shown: the figure as an SVG document. */
    exportFigure: null as (() => string) | null,
    get matrix() {
      return matrix;
    },
    /** Similarities of all layers as the server sent them. */
    get table() {
      return table;
    },
    /** The same in the scale that the reader chose. */
    get shown() {
      return shown;
    },
    get measure() {
      return measure;
    },
    snapshot,
    refresh,
    loadGraph,
    compare,
    layerNames,
    layerMatches,
    select(selection: Selection | null): void {
      const same =
        selection?.side === view.selection?.side && selection?.layer === view.selection?.layer;
      if (!same) view.unit = null;
      view.selection = selection;
    },
    swap(): void {
      [view.a, view.b] = [view.b, view.a];
      view.folded = { a: view.folded.b, b: view.folded.a };
      view.unfolded = { a: view.unfolded.b, b: view.unfolded.a };
      if (view.selection) {
        view.selection = { ...view.selection, side: OTHER[view.selection.side] };
      }
    },
    goTo(next: Parameters): void {
      Object.assign(view, readView(next));
      view.measure ??= data.measures[0]?.name ?? null;
    },
  };
}

export type Session = ReturnType<typeof createSession>;

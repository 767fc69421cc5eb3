import {
  above,
  bestInColumn,
  bestInRow,
  matches,
  ranks,
  strength,
  type Table,
} from '../align/matrix';
import { isOwn } from '../api/own';
import { calling } from '../api/runs';
import { UNREACHABLE, type Source } from '../api/source';
import type {
  Null,
  JobRequest,
  Matrix,
  MeasureInfo,
  Significance,
  SnapshotInfo,
} from '../api/types';
import { domain, format, type Encoding } from '../draw/encode';
import type { Side } from '../draw/figure';
import type { Parameters } from '../host/hash';
import { LETTERS, shortNames } from '../layout/names';
import { biasedLayers, doubtOfAll, PERMUTATIONS, spreadOut, type Doubts } from './doubt';
import { OTHER, readView, SIDES, type Selection, type View } from './address';
import { asNamedError, createDwell, createFollower } from './jobs.svelte';
import { createReader, type Logs } from './logs.svelte';

export { asNamedError, OTHER, SIDES };
export type { Selection, Side };

/** So long nothing else may be asked for before all pairs are compared with their null. */
const NULL_DWELL_MS = 3000;

/** In the sign of the measure's strength. */
export interface Interval {
  low: number;
  high: number;
  nullMean: number | null;
}

/** The state of one tab and the loading of what it shows. */
export function createSession(source: Source, parameters: Parameters) {
  const view = $state<View>(readView(parameters));
  const data = $state<Logs & { hover: Selection | null }>({
    listing: null,
    listingError: null,
    measures: [],
    measuresError: null,
    graphs: { a: null, b: null },
    graphErrors: { a: null, b: null },
    returns: 0,
    hover: null,
  });
  // Large and never changed in place: proxies would only cost.
  let loaded = $state.raw<Matrix | null>(null);
  let nullOf = $state.raw<{ matrix: Matrix; values: Float64Array; of: string } | null>(null);
  const called = $derived(calling(data.listing?.snapshots ?? [], source.live));
  const comparison = createFollower(source);
  const nullJob = createFollower(source);

  /** Users' own alignments of the two models, as measures. */
  const own = $derived(
    (data.listing?.alignments ?? [])
      .filter(({ a, b }) => [a, b].sort().join('\n') === [view.a, view.b].sort().join('\n'))
      .map((alignment) => alignment.measure)
      .filter(({ name }, at, all) => all.findIndex((one) => one.name === name) === at),
  );
  const measureOf = (name: string | null): MeasureInfo | null =>
    [...data.measures, ...own].find((m) => m.name === name) ?? null;
  const measure = $derived(measureOf(view.measure));
  /** Never a matrix of something else than what is chosen now. */
  const matrix = $derived(
    loaded?.a === view.a &&
      loaded?.b === view.b &&
      loaded?.measure === view.measure &&
      !comparison.error &&
      !comparison.cancelled
      ? loaded
      : null,
  );
  /** It never will be there; of a server that is away, this is not known. */
  const refused = $derived(
    comparison.cancelled || (comparison.error && comparison.error.type !== UNREACHABLE),
  );
  /** The former one is still drawn until that is there, or it is known that it never will be. */
  const drawn = $derived(matrix ?? (snapshot('a') && snapshot('b') && !refused ? loaded : null));
  const stale = $derived(drawn !== null && matrix === null);
  const measureDrawn = $derived(drawn ? measureOf(drawn.measure) : measure);
  const sign = $derived(measureDrawn?.distance ? -1 : 1);
  const table = $derived.by<Table | null>(() =>
    drawn
      ? {
          rows: drawn.rows.length,
          columns: drawn.columns.length,
          values: strength(drawn.values, sign),
        }
      : null,
  );
  /** Each layer's best partner in the other model. */
  const best = $derived.by<Record<Side, number[]>>(() => {
    const of = table;
    if (!of) return { a: [], b: [] };
    return {
      a: Array.from({ length: of.rows }, (_, row) => bestInRow(of, row)),
      b: Array.from({ length: of.columns }, (_, column) => bestInColumn(of, column)),
    };
  });
  const nullMean = $derived(nullOf?.matrix === drawn ? (nullOf?.values ?? null) : null);
  /** The chosen scale, or plain values as long as there is no null. */
  const scale = $derived(view.scale === 'null' && !nullMean ? 'raw' : view.scale);
  const shown = $derived.by<Table | null>(() => {
    if (!table) return null;
    if (scale === 'rank') return ranks(table);
    return scale === 'null' && nullMean ? above(table, strength(nullMean, sign)) : table;
  });
  const least = $derived(scale === 'null' ? Number.MIN_VALUE : -Infinity);

  function snapshot(side: Side): SnapshotInfo | null {
    return data.listing?.snapshots.find((s) => s.id === view[side]) ?? null;
  }

  const reader = createReader(source, view, data, () => stale);

  function compare(request: JobRequest): void {
    let revision = 0;
    void comparison.ask(request, {
      onReport(job, signal) {
        if (job.look !== 'first' || (job.revision ?? 0) <= revision) return;
        revision = job.revision ?? 0;
        source.matrix(job.id).then(
          (estimate) => {
            if (!signal.aborted && comparison.job?.status !== 'done') loaded = estimate;
          },
          // A later one has taken its place, or the job has ended: its own answer follows.
          () => undefined,
        );
      },
      async onDone(job, signal) {
        const exact = await source.matrix(job.id);
        if (!signal.aborted) loaded = exact;
      },
    });
  }

  /** What the measure gives when the images of B are permuted. */
  function computeNull(): void {
    const [{ a, b, measure: name }, of] = [view, matrix];
    if (!a || !b || !name || !of || nullMean || isOwn(name)) return;
    void nullJob.ask(
      { kind: 'chance', a, b, measure: name },
      {
        async onDone(job, signal) {
          const [values, { shuffles }] = await Promise.all([
            source.array(job.id, 'null_mean'),
            source.result<Null>(job.id),
          ]);
          if (signal.aborted) return;
          nullOf = { matrix: of, values, of: `${shuffles ?? 'all'} permutations of B's images` };
        },
      },
    );
  }

  function layerNames(side: Side): string[] {
    return drawn ? (side === 'a' ? drawn.rows : drawn.columns) : [];
  }

  const shortened = $derived({
    a: shortNames(layerNames('a'), LETTERS),
    b: shortNames(layerNames('b'), LETTERS),
  });
  const bias = $derived({ a: biasOf('a'), b: biasOf('b') });
  function biasOf(side: Side): boolean[] {
    const rows = snapshot(side)?.rows ?? null;
    return biasedLayers(layerNames(side), measureDrawn, data.graphs[side], rows);
  }

  /** Whether values are above their null is asked of all pairs but those of biased layers. */
  const nullTest = createDwell(
    source,
    () => {
      // Whoever has just chosen something waits for that first.
      void [view.selection, view.unit, view.pair];
      const { a, b, measure: name } = view;
      if (!source.live || isOwn(name)) return null;
      if (!matrix || matrix.look === 'first' || matrix.p_values) return null;
      const layers_a = matrix.rows.filter((_, at) => !bias.a[at]);
      const layers_b = matrix.columns.filter((_, at) => !bias.b[at]);
      if (!layers_a.length || !layers_b.length) return null;
      const layers = { layers_a, layers_b };
      return JSON.stringify({
        ...{ kind: 'significance', a, b, measure: name },
        ...layers,
        ...{ permutations: PERMUTATIONS, resamples: 0 },
      });
    },
    async (job) => {
      const [{ rows, columns }, values] = await Promise.all([
        source.result<Significance>(job.id),
        source.array(job.id, 'p_value'),
      ]);
      return { rows, columns, values };
    },
    { dwell: NULL_DWELL_MS, background: true },
  );
  const doubts = $derived.by<Doubts>(() => {
    const found = stale ? null : nullTest.found;
    const tested = found && spreadOut(found, layerNames('a'), layerNames('b'));
    const known = { biased: bias, pValues: drawn?.p_values ?? tested };
    return { ...known, all: doubtOfAll(known, table?.values ?? []) };
  });

  function select(selection: Selection | null): void {
    const same =
      selection?.side === view.selection?.side && selection?.layer === view.selection?.layer;
    if (!same) [view.unit, view.partner] = [null, null];
    view.pair = null;
    view.selection = selection;
  }

  function layerMatches(selection: Selection): { layer: string; value: number }[] {
    const index = layerNames(selection.side).indexOf(selection.layer);
    if (stale || !table || index < 0) return [];
    const others = layerNames(OTHER[selection.side]);
    return matches(table, selection.side, index).map((match) => ({
      layer: others[match.index]!,
      value: match.value,
    }));
  }

  function bestMatch({ side, layer }: Selection): { layer: string; value: number } | null {
    const index = layerNames(side).indexOf(layer);
    const other = best[side][index] ?? -1;
    if (stale || !table || other < 0) return null;
    const at = side === 'a' ? index * table.columns + other : other * table.columns + index;
    return { layer: layerNames(OTHER[side])[other]!, value: table.values[at]! };
  }

  /** The ends as the measure has them, the least first. */
  function asMeasured({ low, high }: Interval): [number, number] {
    return sign > 0 ? [low, high] : [-high || 0, -low || 0];
  }

  /** Between what the exact value of a match will be, while there is only an estimate. */
  function estimatedInterval({ side, layer }: Selection, other: string): Interval | null {
    if (!matrix?.ends) return null;
    const [mine, theirs] = [
      layerNames(side).indexOf(layer),
      layerNames(OTHER[side]).indexOf(other),
    ];
    if (mine < 0 || theirs < 0) return null;
    const width = matrix.columns.length;
    const at = side === 'a' ? mine * width + theirs : theirs * width + mine;
    const [low, high] = [matrix.ends.low[at]!, matrix.ends.high[at]!];
    return { low: sign > 0 ? low : -high, high: sign > 0 ? high : -low, nullMean: null };
  }

  return {
    source,
    view,
    data,
    get matrix() {
      return matrix;
    },
    /** The job of the matrix, asked for by `compare`. */
    comparison,
    /** The job of its null, asked for by `computeNull`. */
    nullJob,
    /** What is computed for the figure, and what it is called. */
    jobs: [
      { what: 'Comparing', follower: comparison },
      { what: 'Null', follower: nullJob },
      { what: 'Testing against the null', follower: nullTest.follower },
    ],
    computeNull,
    /** Whether what is drawn is the former choice, as the present one is still computed. */
    get stale() {
      return stale;
    },
    /** Whether it changes as soon as that is computed. */
    get busy() {
      return stale && !comparison.error;
    },
    get nullMean() {
      return nullMean;
    },
    get scale() {
      return scale;
    },
    /** Whether the matrix holds the values themselves, not an estimate of them. */
    get exact() {
      return matrix !== null && matrix.look !== 'first';
    },
    /** What to keep in mind when reading the values. */
    get warnings(): readonly string[] {
      const said = drawn?.warnings ?? [];
      return drawn?.look === 'first' ? said.slice(0, -1) : said;
    },
    /** What a progressive estimate was made from, which its last warning says; null of exact values. */
    get madeFrom(): string | null {
      return matrix?.look === 'first' ? (matrix.warnings.at(-1) ?? null) : null;
    },
    /** How similar all layers are: more is more alike, also where the measure is a distance. */
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
    /** Users' own alignments of the two models, as measures. */
    get own() {
      return own;
    },
    /** Whether intervals and a null of the measure can be computed. */
    get assessable(): boolean {
      return source.live && !isOwn(view.measure);
    },
    /** Pairs below this are never joined: no more alike than the null. */
    get least(): number {
      return least;
    },
    /** Pairs below this are not joined now. */
    get threshold(): number {
      return Math.max(least, view.threshold ?? -Infinity);
    },
    /** The ends of the scale for these values of `shown`. */
    encoding: (values: Table): Encoding => domain(values, scale, measureDrawn),
    get sign() {
      return sign;
    },
    /** A value of `table` as the measure has it. */
    text: (value: number): string => format(sign * value || 0),
    asMeasured,
    textOf(interval: Interval): string {
      const [low, high] = asMeasured(interval);
      return `${format(low)} to ${format(high)}`;
    },
    estimatedInterval,
    snapshot,
    /** How snapshots are called. */
    get called() {
      return called;
    },
    refresh: reader.refresh,
    loadGraph: reader.loadGraph,
    release: reader.release,
    compare,
    layerNames,
    /** The short forms of all layers of a model: the same wherever they stand. */
    short: (side: Side) => shortened[side],
    layerMatches,
    bestMatch,
    /** What the numbers of the chosen scale are. */
    get title(): string {
      const title = measureDrawn?.title ?? view.measure ?? '';
      if (scale === 'rank') return `Rank of ${title} among all pairs`;
      if (scale === 'null') {
        return `${title}, how far ${sign > 0 ? 'above' : 'below'} the mean of ${nullOf?.of}`;
      }
      return title;
    },
    select,
    /** A layer of each model. */
    choosePair(a: string, b: string): void {
      select({ side: 'a', layer: a });
      view.pair = b;
    },
    /** Of what the measure cannot tell how alike it is: read it with `doubtOf` and `markOf`. */
    get doubts(): Doubts {
      return doubts;
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
      reader.complete();
    },
  };
}

export type Session = ReturnType<typeof createSession>;

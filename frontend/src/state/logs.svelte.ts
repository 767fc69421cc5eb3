import type { Source } from '../api/source';
import type { LayerGraph, Listing, MeasureInfo, NamedError } from '../api/types';
import type { Side } from '../draw/figure';
import { SIDES, type View } from './address';
import { asNamedError } from './jobs.svelte';
import { openingPair } from './opening';

/** What was read of the logs, and what went wrong with that. */
export interface Logs {
  listing: Listing | null;
  listingError: NamedError | null;
  measures: MeasureInfo[];
  measuresError: NamedError | null;
  graphs: Record<Side, LayerGraph | null>;
  graphErrors: Record<Side, NamedError | null>;
  /** How often the server came back after it was gone: what failed is then asked for again. */
  returns: number;
}

/** Reads the snapshots, the measures and the graphs of what the view names. */
export function createReader(source: Source, view: View, logs: Logs, stale: () => boolean) {
  /** Graphs of models whose matrix is still to come: the former ones fit what is drawn. */
  let held: Record<Side, LayerGraph | null> = { a: null, b: null };
  let listed: Listing | null = null;
  /** The measure that is shown unless another is chosen. */
  let usual: string | null = null;

  /** Ask what snapshots there are; whether that is something new. */
  async function refresh(): Promise<boolean> {
    // Measures are the same as long as the server runs, and may take it a moment to import.
    if (logs.measures.length === 0) void loadMeasures();
    try {
      const listing = await source.snapshots();
      logs.listingError = null;
      if (listing === listed) return false;
      logs.listing = listed = listing;
      complete();
      return true;
    } catch (thrown) {
      logs.listingError = asNamedError(thrown);
      return false;
    }
  }

  async function loadMeasures(): Promise<void> {
    try {
      const measures = await source.measures();
      usual = measures.default;
      const first = ({ name }: MeasureInfo): number => Number(name === usual);
      logs.measures = measures.measures.toSorted((p, q) => first(q) - first(p));
      logs.measuresError = null;
      complete();
    } catch (thrown) {
      logs.measuresError = asNamedError(thrown);
    }
  }

  /** Fill in what the address leaves open. */
  function complete(): void {
    const { opening } = source;
    const given = { a: view.a ?? opening?.a ?? null, b: view.b ?? opening?.b ?? null };
    if (logs.listing) Object.assign(view, openingPair(logs.listing.snapshots, given));
    view.measure ??= usual;
  }

  async function loadGraph(side: Side, id: string | null, digest: string | null): Promise<void> {
    logs.graphErrors[side] = null;
    held[side] = null;
    if (id === null || digest === null) {
      logs.graphs[side] = null;
      return;
    }
    try {
      const graph = await source.graph(id);
      if (view[side] !== id) return;
      if (stale()) held[side] = graph;
      else logs.graphs[side] = graph;
    } catch (thrown) {
      if (view[side] !== id) return;
      logs.graphs[side] = null;
      logs.graphErrors[side] = asNamedError(thrown);
    }
  }

  /** Draw what was held back as long as the former figure was shown. */
  function release(): void {
    if (stale()) return;
    for (const side of SIDES) logs.graphs[side] = held[side] ?? logs.graphs[side];
    held = { a: null, b: null };
  }

  return { refresh, complete, loadGraph, release };
}

import { untrack } from 'svelte';
import type { Placer } from '../layout/client';
import type { Layout } from '../layout/place';
import { SIDES, type Selection } from './address';
import { asNamedError } from './jobs.svelte';
import type { Session, Side } from './session.svelte';

/** Where the boxes of both models are drawn, and in which colours. */
export function createDrawing(session: Pick<Session, 'view' | 'data'>, place: Placer) {
  const { view, data } = session;
  let layouts = $state.raw<Record<Side, Layout | null>>({ a: null, b: null });
  let error = $state<string | null>(null);
  /** Of the room for the drawing. */
  let width = $state(0);
  let zoom = $state(1);
  let zoomed = $state(1);
  let dark = $state(false);

  /** As the worker takes them: without what tells of changes, which costs more than the layout. */
  const graphs = $derived({
    a: $state.snapshot(data.graphs.a),
    b: $state.snapshot(data.graphs.b),
  });
  $effect(() => {
    const [w, z] = [width, zoom];
    const requests = SIDES.map((side) => {
      const [graph, folded, unfolded] = [graphs[side], view.folded[side], view.unfolded[side]];
      const asked = { folded: [...folded], unfolded: [...unfolded], width: w, zoom: z };
      return graph && w > 0 ? { graph, ...asked } : null;
    });
    const kept = (at: number): Layout | null =>
      requests[at] ? untrack(() => layouts[SIDES[at]!]) : null;
    layouts = { a: kept(0), b: kept(1) };
    let stale = false;
    // Both at once: each change draws all lines anew, which start in one model and end in the other.
    Promise.all(requests.map((request) => request && place(request))).then(
      ([a, b]) => {
        if (stale) return;
        error = null;
        layouts = { a: a!, b: b! };
        zoomed = z;
      },
      (thrown: unknown) => {
        if (!stale) error = asNamedError(thrown).message;
      },
    );
    return () => {
      stale = true;
    };
  });

  const complete = $derived(
    layouts.a && layouts.b ? ({ a: layouts.a, b: layouts.b } as Record<Side, Layout>) : null,
  );
  function layersOfBoxes(side: Side): string[] {
    return layouts[side]?.boxes.flatMap((box) => box.layers.at(-1) ?? []) ?? [];
  }
  const layers = $derived({ a: layersOfBoxes('a'), b: layersOfBoxes('b') });

  return {
    /** Of both models, once both are there. */
    get layouts() {
      return complete;
    },
    get error() {
      return error;
    },
    /** One layer per drawn box of each model. */
    get layers(): Record<Side, readonly string[]> {
      return layers;
    },
    /** All layers of the box that a layer is drawn in. */
    siblings({ side, layer }: Selection): readonly string[] {
      return layouts[side]?.boxes.find((box) => box.layers.includes(layer))?.layers ?? [];
    },
    fold(side: Side, block: string, isFolded: boolean): void {
      view.folded[side] = view.folded[side].filter((name) => name !== block);
      view.unfolded[side] = view.unfolded[side].filter((name) => name !== block);
      (isFolded ? view.folded : view.unfolded)[side].push(block);
    },
    /** Both models as they would be drawn on this width; null while there are no graphs. */
    async at(room: number): Promise<Record<Side, Layout> | null> {
      const placed = SIDES.map((side) => {
        const graph = graphs[side];
        const [folded, unfolded] = [[...view.folded[side]], [...view.unfolded[side]]];
        return graph && place({ graph, folded, unfolded, width: room, zoom: 1 });
      });
      const [a, b] = await Promise.all(placed);
      return a && b ? { a, b } : null;
    },
    get width() {
      return width;
    },
    set width(next: number) {
      width = next;
    },
    get zoom() {
      return zoom;
    },
    set zoom(next: number) {
      zoom = next;
    },
    /** At which the layouts were made; they follow a change of `zoom` a moment later. */
    get zoomed() {
      return zoomed;
    },
    get dark() {
      return dark;
    },
    set dark(next: boolean) {
      dark = next;
    },
  };
}

export type Drawing = ReturnType<typeof createDrawing>;

import { untrack } from 'svelte';
import { whileSeen } from '../host/live';
import { onDataChanged } from '../host/messages';
import { SIDES } from './address';
import type { Session } from './session.svelte';
import { comparesTwo } from './views';

/** Loads what the view asks for: the snapshots, their graphs, the comparison and its null. */
export function loadWhatIsViewed(session: Session): void {
  const { source, view } = session;

  $effect(() => {
    untrack(() => void session.refresh());
    onDataChanged(() => void session.refresh());
    if (source.live) return whileSeen(() => session.refresh());
  });

  const digests = $derived({
    a: session.snapshot('a')?.digest ?? null,
    b: session.snapshot('b')?.digest ?? null,
  });
  for (const side of SIDES) {
    $effect(() => {
      const [id, digest] = [view[side], digests[side]];
      untrack(() => void session.loadGraph(side, id, digest));
    });
  }

  const comparable = $derived(
    comparesTwo(session) && digests.a !== null && digests.b !== null && view.measure !== null,
  );
  $effect(() => {
    void digests.a;
    void digests.b;
    const { a, b, measure } = view;
    if (!comparable || !a || !b || !measure) return;
    untrack(() => session.compare({ kind: 'similarity', a, b, measure }));
    return session.comparison.stop;
  });

  $effect(() => {
    void session.stale;
    untrack(() => session.release());
  });

  $effect(() => {
    if (view.scale !== 'null' || !session.exact || !source.live) return;
    untrack(() => session.computeNull());
    return session.nullJob.leave;
  });
}

import { untrack } from 'svelte';
import { UNREACHABLE } from '../api/source';
import { whileSeen } from '../host/live';
import { onDataChanged } from '../host/messages';
import { SIDES } from './address';
import type { Session } from './session.svelte';
import { comparesTwo } from './views';

const RETRY_MS = 3000;

/** Whether the server did not answer when something was asked of it. */
export function isUnreachable({
  data,
  comparison,
  nullJob,
}: Pick<Session, 'data' | 'comparison' | 'nullJob'>): boolean {
  const { listingError, measuresError, graphErrors } = data;
  const errors = [listingError, measuresError, comparison.error, nullJob.error];
  return [...errors, graphErrors.a, graphErrors.b].some((one) => one?.type === UNREACHABLE);
}

/** Asks whether the server is back; if so, what failed meanwhile is asked for again. */
export async function askAgain(session: Pick<Session, 'data' | 'refresh'>): Promise<void> {
  await session.refresh();
  if (session.data.listingError === null) session.data.returns += 1;
}

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
  const gone = $derived(isUnreachable(session));
  $effect(() => {
    if (!source.live || !gone) return;
    const timer = setInterval(() => void askAgain(session), RETRY_MS);
    return () => clearInterval(timer);
  });

  for (const side of SIDES) {
    $effect(() => {
      void session.data.returns;
      const [id, digest] = [view[side], digests[side]];
      untrack(() => void session.loadGraph(side, id, digest));
    });
  }

  const comparable = $derived(
    comparesTwo(session) && digests.a !== null && digests.b !== null && view.measure !== null,
  );
  $effect(() => {
    void session.data.returns;
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

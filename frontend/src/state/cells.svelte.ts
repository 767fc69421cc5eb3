import type { Source } from '../api/source';
import type { Cells, Job, JobRequest } from '../api/types';
import { createFollower } from './jobs.svelte';

type Kind = Cells['kind'];
type OfKind<K extends Kind> = Extract<Cells, { kind: K }>;

/**
 * Cells that a view looks at, filled while they are computed. Those of the former request stay
 * until there are some of the next: a run that grows does not flicker.
 */
export function createCells<K extends Kind>(source: Source, kind: K) {
  let cells = $state.raw<OfKind<K> | null>(null);
  let asked = $state(false);
  const follower = createFollower(source);

  /**
   * Ask for a table by its request as JSON; null for none. Returns how to stop: what was computed
   * until then is kept by the server.
   */
  function watch(request: string | null): (() => void) | undefined {
    asked = request !== null;
    if (request === null) return clear();
    let shown = 0;
    let reading = Promise.resolve();

    async function read(job: Job, signal: AbortSignal): Promise<void> {
      const found = await source.cells(job.id);
      if (!signal.aborted && isOf(kind, found)) cells = found;
    }
    void follower.ask(JSON.parse(request) as JobRequest, {
      onReport(job, signal) {
        const partial = kind !== 'models' && job.fraction > shown;
        if (job.status !== 'running' || !partial) return;
        shown = job.fraction;
        // What is not there any more by now comes with the end of the job.
        reading = read(job, signal).catch(() => undefined);
      },
      async onDone(job, signal) {
        await reading;
        await read(job, signal);
      },
    });
    return follower.leave;
  }
  function clear(): undefined {
    cells = null;
    follower.clear();
  }

  return {
    watch,
    follower,
    get cells() {
      return cells;
    },
    /** Whether there will be cells, and are none yet. */
    get awaited(): boolean {
      return asked && !cells && !follower.error && !follower.cancelled;
    },
  };
}

function isOf<K extends Kind>(kind: K, cells: Cells): cells is OfKind<K> {
  return cells.kind === kind;
}

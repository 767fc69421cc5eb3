import type { Source } from '../api/source';
import type { Cells, Job, JobRequest } from '../api/types';
import { createFollower } from './jobs.svelte';

/**
 * Cells that a view looks at, filled while they are computed. Those of the former request stay
 * until there are some of the next: a run that grows does not flicker.
 */
export function createCells(source: Source) {
  let cells = $state.raw<Cells | null>(null);
  const follower = createFollower(source);

  /** Returns how to stop. What was computed until then is kept by the server. */
  function ask(request: JobRequest): () => void {
    let shown = 0;
    let reading = Promise.resolve();

    async function read(job: Job, signal: AbortSignal): Promise<void> {
      const found = await source.cells(job.id);
      if (!signal.aborted) cells = found;
    }
    void follower.ask(request, {
      onReport(job, signal) {
        const partial = request.kind !== 'models' && job.fraction > shown;
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

  return {
    ask,
    follower,
    clear(): void {
      cells = null;
      follower.clear();
    },
    get cells() {
      return cells;
    },
  };
}

export type CellsFollower = ReturnType<typeof createCells>;

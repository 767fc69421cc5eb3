import { follow, isFinished, type Source } from '../api/source';
import type { Cells, Job, JobRequest, NamedError } from '../api/types';
import { asNamedError } from './watch.svelte';

/**
 * Cells that a view looks at, filled while they are computed. Those of the former request stay
 * until there are some of the next: a run that grows does not flicker.
 */
export function createCells(source: Source) {
  let cells = $state.raw<Cells | null>(null);
  let job = $state.raw<Job | null>(null);
  let error = $state.raw<NamedError | null>(null);

  /** Returns how to stop. What was computed until then is kept by the server. */
  function ask(request: JobRequest): () => void {
    const control = new AbortController();
    const { signal } = control;
    let shown = 0;
    let reading = Promise.resolve();
    error = null;

    async function read(report: Job): Promise<void> {
      const found = await source.cells(report.id);
      if (!signal.aborted) cells = found;
    }
    function onReport(report: Job): void {
      job = report;
      const partial = request.kind !== 'models' && report.fraction > shown;
      if (report.status !== 'running' || !partial) return;
      shown = report.fraction;
      // What is not there any more by now comes with the end of the job.
      reading = read(report).catch(() => undefined);
    }
    async function run(): Promise<void> {
      try {
        const last = await follow(source, request, onReport, signal);
        await reading;
        if (signal.aborted) {
          if (!isFinished(last)) await source.leave(last.id);
        } else if (last.status === 'done') await read(last);
        else error = last.error ?? { type: 'Cancelled', message: 'The computation was cancelled.' };
      } catch (thrown) {
        if (!signal.aborted) [error, job] = [asNamedError(thrown), null];
      }
    }
    void run();
    return () => control.abort();
  }

  return {
    ask,
    clear(): void {
      [cells, job, error] = [null, null, null];
    },
    async cancel(): Promise<void> {
      if (job) job = await source.cancel(job.id);
    },
    get cells() {
      return cells;
    },
    get job() {
      return job;
    },
    get error() {
      return error;
    },
  };
}

export type Watched = ReturnType<typeof createCells>;

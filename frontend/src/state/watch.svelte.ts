import { untrack } from 'svelte';
import { follow, isFinished, type Source } from '../api/source';
import type { Job, JobRequest, NamedError } from '../api/types';
import { ApiError } from '../api/source';

export function asNamedError(thrown: unknown): NamedError {
  if (thrown instanceof ApiError) return { type: thrown.type, message: thrown.message };
  return { type: 'Error', message: thrown instanceof Error ? thrown.message : String(thrown) };
}

/** One job at a time that a view asked for: how far it is, or why it failed. */
export function createWatch(source: Source) {
  let job = $state.raw<Job | null>(null);
  let error = $state.raw<NamedError | null>(null);
  let control: AbortController | null = null;

  async function stop(how: (id: string) => Promise<Job>): Promise<void> {
    if (!job || isFinished(job)) return;
    try {
      job = await how(job.id);
    } catch (thrown) {
      error = asNamedError(thrown);
    }
  }

  return {
    get job() {
      return job;
    },
    get error() {
      return error ?? job?.error ?? null;
    },
    /** The finished job; null if it failed, was cancelled, or something else was asked for. */
    async ask(request: JobRequest): Promise<Job | null> {
      control?.abort();
      const mine = (control = new AbortController());
      job = null;
      error = null;
      try {
        const report = (next: Job): void => void (job = next);
        const last = await follow(source, request, report, mine.signal);
        return !mine.signal.aborted && last.status === 'done' ? last : null;
      } catch (thrown) {
        if (!mine.signal.aborted) error = asNamedError(thrown);
        return null;
      }
    },
    cancel: () => stop(source.cancel),
    /** Nobody looks any more: the server need not go on. */
    drop(): void {
      control?.abort();
      control = null;
      void stop(source.leave);
    },
  };
}

export type Watch = ReturnType<typeof createWatch>;

// A selection that stays for so long is looked at: what costs something is computed then.
const DWELL_MS = 700;

/**
 * What a job finds out about a selection once it has stayed for a moment. `request` is the job as
 * JSON, null where there is nothing to ask; `read` turns the finished job into what is shown.
 */
export function createDwell<T>(
  source: Source,
  request: () => string | null,
  read: (job: Job) => Promise<T>,
) {
  const watch = createWatch(source);
  let known = $state.raw<{ of: string; found: T } | null>(null);
  let asked = $state.raw<string | null>(null);

  async function look(wanted: string): Promise<void> {
    asked = wanted;
    const job = await watch.ask(JSON.parse(wanted) as JobRequest);
    if (!job) return;
    const found = await read(job);
    if (wanted === request()) known = { of: wanted, found };
  }
  $effect(() => {
    const wanted = request();
    if (wanted === null || untrack(() => known?.of) === wanted) return;
    const timer = setTimeout(() => void look(wanted), DWELL_MS);
    return () => {
      clearTimeout(timer);
      watch.drop();
    };
  });
  return {
    /** Null until it is known of the present request. */
    get found(): T | null {
      return known !== null && known.of === request() ? known.found : null;
    },
    /** What its job knows so far. */
    get meanwhile(): unknown {
      return asked === request() ? (watch.job?.known ?? null) : null;
    },
    get job() {
      return watch.job;
    },
    get error() {
      return watch.error;
    },
    cancel: watch.cancel,
  };
}

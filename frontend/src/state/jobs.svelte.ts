import { untrack } from 'svelte';
import { ApiError, follow, isFinished, type Source } from '../api/source';
import type { Job, JobRequest, NamedError } from '../api/types';

export function asNamedError(thrown: unknown): NamedError {
  if (thrown instanceof ApiError) return { type: thrown.type, message: thrown.message };
  return { type: 'Error', message: thrown instanceof Error ? thrown.message : String(thrown) };
}

/** Why a job is watched no longer: nobody here wants its result. */
const LEFT = 'left';

interface Hooks {
  /** Hears of every report, also the last. */
  onReport?: (job: Job, signal: AbortSignal) => void;
  /** Reads the result of a job that is done. What it throws is the follower's error. */
  onDone?: (job: Job, signal: AbortSignal) => Promise<void> | void;
  /** Whether the job makes way for all that is asked for. */
  background?: boolean;
}

/**
 * Follows one job at a time: how far it is, or why it failed. Everything in the tab that is
 * computed is asked for here.
 */
export function createFollower(source: Source) {
  let job = $state.raw<Job | null>(null);
  let error = $state.raw<NamedError | null>(null);
  let control: AbortController | null = null;

  /** Ask for a job instead of the one before, which goes on where others wait for it. */
  async function ask(
    request: JobRequest,
    { onReport, onDone, background }: Hooks = {},
  ): Promise<void> {
    control?.abort();
    const { signal } = (control = new AbortController());
    job = null;
    error = null;
    try {
      const report = (next: Job): void => {
        job = next;
        onReport?.(next, signal);
      };
      const last = await follow(source, request, report, signal, background);
      if (!signal.aborted) {
        if (last.status === 'done') await onDone?.(last, signal);
      } else if (signal.reason === LEFT && !isFinished(last)) await source.leave(last.id);
    } catch (thrown) {
      if (signal.aborted) return;
      error = asNamedError(thrown);
      job = null;
    }
  }

  /** Stop watching. The job goes on, and its result is kept for whoever asks next. */
  function stop(): void {
    control?.abort();
    control = null;
  }

  return {
    ask,
    stop,
    /** Stop watching and tell the server: it need not go on unless another tab waits for it. */
    leave(): void {
      control?.abort(LEFT);
      control = null;
      if (job && !isFinished(job)) job = null;
    },
    /** End the job, whoever waits for it. */
    async cancel(): Promise<void> {
      if (!job || isFinished(job)) return;
      try {
        job = await source.cancel(job.id);
      } catch (thrown) {
        error = asNamedError(thrown);
      }
    },
    /** Forget the job and what became of it. */
    clear(): void {
      stop();
      [job, error] = [null, null];
    },
    get job() {
      return job;
    },
    get error() {
      return error ?? job?.error ?? null;
    },
    get cancelled(): boolean {
      return job?.status === 'cancelled';
    },
    get running(): boolean {
      return job !== null && !isFinished(job);
    },
  };
}

export type Follower = ReturnType<typeof createFollower>;

/** A selection that stays for so long is looked at: what costs something is computed then. */
const DWELL_MS = 700;

/**
 * What a job finds out about a selection once it has stayed for a moment. `request` is the job as
 * JSON, null where there is nothing to ask; `read` turns the finished job into what is shown.
 */
export function createDwell<T>(
  source: Source,
  request: () => string | null,
  read: (job: Job) => Promise<T>,
  { dwell = DWELL_MS, background = false } = {},
) {
  const follower = createFollower(source);
  let known = $state.raw<{ of: string; found: T } | null>(null);
  let asked = $state.raw<string | null>(null);

  function ask(wanted: string): void {
    asked = wanted;
    void follower.ask(JSON.parse(wanted) as JobRequest, {
      background,
      onDone: async (job, signal) => {
        const found = await read(job);
        if (!signal.aborted) known = { of: wanted, found };
      },
    });
  }
  $effect(() => {
    const wanted = request();
    if (wanted === null || untrack(() => known?.of) === wanted) return;
    const timer = setTimeout(() => ask(wanted), dwell);
    return () => {
      clearTimeout(timer);
      follower.leave();
    };
  });
  return {
    /** Null until it is known of the present request. */
    get found(): T | null {
      return known !== null && known.of === request() ? known.found : null;
    },
    /** Whether it is still to come: it will be asked for, or is being computed. */
    get awaited(): boolean {
      const wanted = request();
      if (wanted === null || known?.of === wanted) return false;
      return asked !== wanted || !(follower.error || follower.cancelled);
    },
    /** What its job knows so far. */
    get meanwhile(): unknown {
      return asked === request() ? (follower.job?.known ?? null) : null;
    },
    follower,
  };
}

import type { Answers, Target } from './generated';
import type {
  Box,
  Cells,
  Job,
  JobItem,
  JobRequest,
  LayerGraph,
  LayerInfo,
  Listing,
  Matrix,
  Measures,
  UnitInfo,
} from './types';

/** The type of error where no server answers. */
export const UNREACHABLE = 'Unreachable';
/** The type of error where a report does not have what is asked for, which it says in a sentence. */
export const NOT_HELD = 'NotInThisReport';

/** What of units and pictures came with the data. */
export interface Held {
  /** Sentences on what there is, and on what there is not. */
  notes: readonly string[];
  /** The units of a layer, those first that are shared most. */
  units: (snapshot: string, layer: string) => readonly number[];
  /** The layers in which the analogies of a unit are. */
  analogies: (snapshot: string, layer: string, unit: number) => readonly string[];
}

/**
 * Where the tab reads from: a TensorBoard that runs, or a report's own inlined data.
 * Everything above this interface is the same for both.
 */
export interface Source {
  /** False where nothing can be computed any more (a report). */
  readonly live: boolean;
  /** The pair to open on, where the data is of one pair. */
  readonly opening?: Record<'a' | 'b', string>;
  /** Where the data is a report with pictures. */
  readonly held?: Held;
  /** What a route that only reads answers; `Answers` has all of them. */
  read<R extends keyof Answers>(
    route: R,
    query: Answers[R]['query'],
  ): Promise<Answers[R]['answer']>;
  /** The same object again as long as there is nothing new. */
  snapshots(): Promise<Listing>;
  measures(): Promise<Measures>;
  graph(snapshot: string): Promise<LayerGraph>;
  layer(snapshot: string, layer: string): Promise<LayerInfo>;
  unit(snapshot: string, layer: string, unit: number, limit: number): Promise<UnitInfo>;
  /** Address of one probe image, or of a part of it. */
  probeImage(snapshot: string, index: number, size: number, box?: Box | null): string;
  /** Address of what each of these units is most active on, squares of so many pixels. */
  unitCrops(snapshot: string, layer: string, units: readonly number[], size: number): string;
  /** Keep a photo of one's own; the digest that jobs name it by. */
  keepPhoto(photo: Blob): Promise<string>;
  /** Address of a photo that was kept. */
  ownPhoto(digest: string): string;
  /** Have the renderer ready for the units of a layer and for the first layers of `targets`. */
  warmUp(snapshot: string, layer: string, targets: readonly Target[]): Promise<void>;
  /** The pictures of a request as far as they were drawn already; nothing is computed. */
  known(request: JobRequest): Promise<readonly JobItem[]>;
  /** Address of a caricature that came with the data, as with a report; null if none did. */
  caricature(snapshot: string, layer: string): string | null;
  /** Address of a picture that a job's item names. */
  picture(address: string): string;
  /** Ask for a job; one in the background makes way for all that is asked for. */
  start(request: JobRequest, background: boolean): Promise<Job>;
  job(id: string): Promise<Job>;
  /** Stop a job, whoever waits for it. */
  cancel(id: string): Promise<Job>;
  /** Wait for a job no longer: it stops unless another tab waits for it. */
  leave(id: string): Promise<Job>;
  matrix(id: string): Promise<Matrix>;
  /** What a finished job of another kind found. */
  result<T>(id: string): Promise<T>;
  /** One of the arrays that a result names. */
  array(id: string, name: string): Promise<Float64Array>;
  /** What a job over many snapshots has so far. */
  cells(id: string): Promise<Cells>;
}

/** A failure with the server's name for it and its words on what to do. */
export class ApiError extends Error {
  constructor(
    readonly type: string,
    message: string,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

const FINISHED = new Set<Job['status']>(['done', 'failed', 'cancelled']);

export function isFinished(job: Job): boolean {
  return FINISHED.has(job.status);
}

const FIRST_PAUSE_MS = 120;
const LONGEST_PAUSE_MS = 1000;

/**
 * Start a job and report it until it ends or `signal` aborts. Aborting stops the watching, not
 * the job: its result is cached for whoever asks next. Returns the last report.
 */
export async function follow(
  source: Source,
  request: JobRequest,
  onReport: (job: Job) => void,
  signal: AbortSignal,
  background = false,
): Promise<Job> {
  let job = await source.start(request, background);
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    onReport(job);
    if (isFinished(job)) break;
    await sleep(pause, signal);
    pause = Math.min(pause * 1.4, LONGEST_PAUSE_MS);
    if (signal.aborted) break;
    job = await source.job(job.id);
  }
  return job;
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

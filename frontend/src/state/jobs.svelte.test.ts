import { describe, expect, it, vi } from 'vitest';
import { ApiError, type Source } from '../api/source';
import type { Job, JobRequest } from '../api/types';
import { createFollower } from './jobs.svelte';

const REQUEST: JobRequest = { kind: 'similarity', a: 'x', b: 'y', measure: 'linear_cka' };

function report(id: string, status: Job['status']): Job {
  const fields = {
    fraction: 0,
    message: '',
    position: null,
    cached: false,
    items: [],
    error: null,
  };
  const known = { look: null, revision: 0, known: null };
  return { id, kind: 'similarity', status, state: status, ...fields, ...known };
}

/** A server whose jobs end when the test says so. */
function server() {
  let count = 0;
  const status = new Map<string, Job['status']>();
  const set = (id: string, next: Job['status']): Job => {
    status.set(id, next);
    return report(id, next);
  };
  const source = {
    start: vi.fn(async () => set(`job${(count += 1)}`, 'running')),
    job: vi.fn(async (id: string) => report(id, status.get(id)!)),
    cancel: vi.fn(async (id: string) => set(id, 'cancelled')),
    leave: vi.fn(async (id: string) => set(id, 'cancelled')),
  };
  return { source: source as typeof source & Source, set };
}
const started = (source: { start: unknown }): Promise<void> =>
  vi.waitFor(() => expect(source.start).toHaveBeenCalled());

describe('a follower', () => {
  it('reports a job and reads its result once', async () => {
    const { source, set } = server();
    const follower = createFollower(source);
    const [heard, read] = [vi.fn(), vi.fn()];
    const asked = follower.ask(REQUEST, { onReport: heard, onDone: read });
    await vi.waitFor(() => expect(follower.job?.status).toBe('running'));
    expect(follower.running).toBe(true);
    expect(read).not.toHaveBeenCalled();
    set('job1', 'done');
    await asked;
    expect(read).toHaveBeenCalledTimes(1);
    expect(heard.mock.calls.map(([job]) => (job as Job).status).at(-1)).toBe('done');
    expect(follower.running).toBe(false);
    expect(follower.error).toBeNull();
  });

  it('hears nothing of the job before the one that is asked for now', async () => {
    const { source, set } = server();
    const follower = createFollower(source);
    const [first, second] = [vi.fn(), vi.fn()];
    const before = follower.ask(REQUEST, { onDone: first });
    await vi.waitFor(() => expect(follower.job?.id).toBe('job1'));
    const now = follower.ask(REQUEST, { onDone: second });
    set('job1', 'done');
    await vi.waitFor(() => expect(follower.job?.id).toBe('job2'));
    set('job2', 'done');
    await Promise.all([before, now]);
    expect(first).not.toHaveBeenCalled();
    expect(second).toHaveBeenCalledTimes(1);
    expect(source.leave).not.toHaveBeenCalled();
  });

  it('tells the server of what it leaves, also of a job that is being started', async () => {
    const { source } = server();
    const follower = createFollower(source);
    const asked = follower.ask(REQUEST);
    follower.leave();
    await asked;
    expect(source.leave).toHaveBeenCalledWith('job1');
    expect(follower.job).toBeNull();
  });

  it('lets a job go on that it stops watching', async () => {
    const { source } = server();
    const follower = createFollower(source);
    const asked = follower.ask(REQUEST);
    await started(source);
    follower.stop();
    await asked;
    expect(source.leave).not.toHaveBeenCalled();
    expect(source.cancel).not.toHaveBeenCalled();
  });

  it('cancels, and says so', async () => {
    const { source } = server();
    const follower = createFollower(source);
    const read = vi.fn();
    const asked = follower.ask(REQUEST, { onDone: read });
    await vi.waitFor(() => expect(follower.running).toBe(true));
    await follower.cancel();
    await asked;
    expect(follower.cancelled).toBe(true);
    expect(read).not.toHaveBeenCalled();
  });

  it('has the error of a start, of a job and of reading a result', async () => {
    const { source, set } = server();
    const follower = createFollower(source);
    source.start.mockRejectedValueOnce(new ApiError('ProbeMismatchError', 'other images'));
    await follower.ask(REQUEST);
    expect(follower.error).toEqual({ type: 'ProbeMismatchError', message: 'other images' });
    expect(follower.job).toBeNull();

    const asked = follower.ask(REQUEST, {
      onDone: () => {
        throw new Error('gone');
      },
    });
    expect(follower.error).toBeNull();
    await vi.waitFor(() => expect(follower.job?.id).toBe('job1'));
    set('job1', 'done');
    await asked;
    expect(follower.error?.message).toBe('gone');
  });
});

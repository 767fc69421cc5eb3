import { describe, expect, it, afterEach, beforeEach, vi } from 'vitest';

describe('slices', () => {
  let frames: ((now: number) => void)[] = [];
  let now = 0;
  const frame = (milliseconds: number): void => {
    now += milliseconds;
    const due = frames;
    frames = [];
    for (const step of due) step(now);
  };
  let inSlices: typeof import('./slices').inSlices;
  let holdBack: typeof import('./slices').holdBack;

  beforeEach(async () => {
    frames = [];
    now = 0;
    vi.stubGlobal('requestAnimationFrame', (step: (now: number) => void) => frames.push(step));
    vi.resetModules();
    ({ holdBack, inSlices } = await import('./slices'));
  });
  afterEach(() => vi.unstubAllGlobals());

  /** How many things each frame works through. */
  function watched(count: number, urgent = true): { sizes: number[]; stop: () => void } {
    const sizes: number[] = [];
    const stop = inSlices(
      count,
      urgent,
      () => undefined,
      (first, end) => sizes.push(end - first),
    );
    return { sizes, stop };
  }

  it('works through everything, more in each frame until one is late, then less', () => {
    const { sizes } = watched(20_000);
    for (let k = 0; k < 8; k++) frame(16);
    expect(sizes.at(-1)).toBeGreaterThan(2 * sizes[0]!);
    const most = sizes.at(-1)!;
    frame(33);
    expect(sizes.at(-1)).toBeLessThan(0.7 * most);
    for (let k = 0; k < 200; k++) frame(16);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(20_000);
    expect(frames).toHaveLength(0); // idle is idle
  });

  it('lets what nobody sees wait until all that is seen is there', () => {
    const [unseen, seen] = [watched(500, false), watched(3000)];
    frame(16);
    expect(unseen.sizes).toEqual([]);
    while (frames.length) frame(16);
    expect(seen.sizes.reduce((sum, size) => sum + size, 0)).toBe(3000);
    expect(unseen.sizes.reduce((sum, size) => sum + size, 0)).toBe(500);
  });

  it('begins what is new, and goes on with nothing, while it is held back', () => {
    const first = watched(20_000);
    frame(16);
    holdBack(true);
    frame(16);
    expect(first.sizes).toHaveLength(1);
    const second = watched(20_000); // the strongest lines of another layout: nothing goes blank
    for (let k = 0; k < 5; k++) frame(16);
    expect([first.sizes, second.sizes].map((sizes) => sizes.length)).toEqual([1, 1]);
    holdBack(false);
    while (frames.length) frame(16);
    for (const { sizes } of [first, second]) {
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(20_000);
    }
  });

  it('draws nothing more once it is stopped', () => {
    const { sizes, stop } = watched(20_000);
    frame(16);
    stop();
    while (frames.length) frame(16);
    expect(sizes).toHaveLength(1);
  });
});

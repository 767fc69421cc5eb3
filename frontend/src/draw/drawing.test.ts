import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { lineTicks } from './encode';
import { recordsCsv, recordsJson } from './export';
import { pictureSheet } from './sheet';
import { TILE, tilesOf } from './tiles';

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

  beforeEach(async () => {
    frames = [];
    now = 0;
    vi.stubGlobal('requestAnimationFrame', (step: (now: number) => void) => frames.push(step));
    vi.resetModules();
    ({ inSlices } = await import('./slices'));
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

  it('draws nothing more once it is stopped', () => {
    const { sizes, stop } = watched(20_000);
    frame(16);
    stop();
    while (frames.length) frame(16);
    expect(sizes).toHaveLength(1);
  });
});

describe('tiles', () => {
  it('cover a drawing without gaps and know what is in sight', () => {
    const tiles = tilesOf({ width: 2900, height: 300 }, 1, 900, 1000);
    expect(tiles.map((tile) => tile.left)).toEqual([0, TILE, 2 * TILE, 3 * TILE]);
    expect(tiles.reduce((sum, tile) => sum + tile.width, 0)).toBe(2900);
    expect(tiles.map((tile) => tile.seen)).toEqual([false, true, true, false]);
  });

  it('are only those near what is in sight where all would be too much', () => {
    const tiles = tilesOf({ width: 80_000, height: 500 }, 2, 40_000, 1200);
    expect(tiles.length).toBeLessThan(6);
    expect(tiles.filter((tile) => tile.seen).length).toBeGreaterThan(1);
  });
});

describe('lists as files', () => {
  it('never start a formula, whatever a name holds', () => {
    const csv = recordsCsv([
      { layer: '=HYPERLINK("x")', value: -0.5, note: '@SUM(1)' },
      { layer: '+1', value: NaN, note: null },
      { layer: '-1', value: 2, note: 'plain, with a comma' },
    ]);
    expect(csv.split('\n')).toEqual([
      'layer,value,note',
      '"\'=HYPERLINK(""x"")",-0.5,\'@SUM(1)',
      "'+1,,",
      '\'-1,2,"plain, with a comma"',
      '',
    ]);
  });

  it('say in JSON what they are of', () => {
    expect(JSON.parse(recordsJson({ layer: 'conv' }, [{ unit: 3 }]))).toEqual({
      layer: 'conv',
      records: [{ unit: 3 }],
    });
  });

  it('hold their pictures, and names as text', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('x')));
    vi.stubGlobal(
      'FileReader',
      class {
        result = 'data:image/png;base64,eA==';
        onload: () => void = () => undefined;
        readAsDataURL(): void {
          this.onload();
        }
      },
    );
    const pictures = [{ address: 'job_image?id=1', lines: ['<script>alert(1)</script>'] }];
    const svg = await pictureSheet(pictures, 'of <b>', () => '#123456');
    vi.unstubAllGlobals();
    expect(svg).toContain('href="data:image/png;base64,eA=="');
    expect(svg).not.toMatch(/<script|<b>|job_image/);
  });
});

describe('the scale above chance', () => {
  it('has no tick for what is not joined', () => {
    const scale = { low: 0, high: 0.4, sign: 1 as const };
    expect(lineTicks(scale).map((tick) => tick.value)).toContain(0);
    expect(lineTicks({ ...scale, open: true }).map((tick) => tick.value)).not.toContain(0);
  });
});

/** A picture that stands beside a box: its middle, and in which row, counted from the box. */
export interface Place {
  x: number;
  row: number;
}

export interface Placed {
  /** Edge of the pictures, in pixels. */
  size: number;
  places: Place[];
}

const [LARGEST, LEAST, GAP, MOST_ROWS] = [48, 24, 4, 2];

/** How many pictures there is room for on this width. */
export function roomFor(width: number): number {
  return Math.max(1, MOST_ROWS * Math.floor(width / (LEAST + GAP)));
}

/**
 * Where pictures stand whose boxes have their middles at `xs`, in ascending order: as near to them
 * as they can without covering one another, in as few rows and as large as fits the width.
 */
export function placeBeside(xs: readonly number[], width: number): Placed {
  const need = (size: number): number => Math.ceil((xs.length * (size + GAP)) / width);
  const rows = Math.max(1, Math.min(MOST_ROWS, need(LARGEST)));
  const each = Math.ceil(xs.length / rows);
  const size = Math.max(LEAST, Math.min(LARGEST, Math.floor(width / Math.max(1, each)) - GAP));
  const places: Place[] = xs.map(() => ({ x: 0, row: 0 }));
  for (let row = 0; row < rows; row += 1) {
    const members = xs.flatMap((_, at) => (at % rows === row ? [at] : []));
    const middles = apart(
      members.map((at) => xs[at]!),
      size + GAP,
    );
    members.forEach((at, k) => {
      const from = size / 2 + k * (size + GAP);
      const to = width - size / 2 - (members.length - 1 - k) * (size + GAP);
      places[at] = { x: Math.max(from, Math.min(to, middles[k]!)), row };
    });
  }
  return { size, places };
}

/** The nearest positions, by least squares, that are at least `pitch` apart. */
function apart(wanted: readonly number[], pitch: number): number[] {
  // Without the pitch they only have to ascend: neighbours that do not are put at their mean.
  const pools: { sum: number; count: number }[] = [];
  wanted.forEach((x, at) => {
    pools.push({ sum: x - at * pitch, count: 1 });
    for (;;) {
      const [before, last] = pools.slice(-2);
      if (!before || !last || before.sum / before.count <= last.sum / last.count) break;
      pools.splice(-2, 2, { sum: before.sum + last.sum, count: before.count + last.count });
    }
  });
  return pools
    .flatMap(({ sum, count }) => Array<number>(count).fill(sum / count))
    .map((x, at) => x + at * pitch);
}

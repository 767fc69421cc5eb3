import type { PlacedBox } from '../layout/place';

/** Paler than others are boxes whose layers were not logged, and those that a filter leaves out. */
const [UNLOGGED, LEFT_OUT] = [0.45, 0.2];

/** How opaque a box is, on the screen and on paper; undefined where it is entirely so. */
export function opacityOf(
  { layers }: Pick<PlacedBox, 'layers'>,
  leftOut = false,
): number | undefined {
  if (leftOut) return LEFT_OUT;
  return layers.length === 0 ? UNLOGGED : undefined;
}

/** The outline of a box around its own centre, as an SVG path. */
export function outlinePath({ outline, width, height }: PlacedBox): string {
  const [x, y] = [width / 2, height / 2];
  switch (outline) {
    case 'terminal':
      return polygon([
        [-x, 0],
        [-x / 2, -y],
        [x / 2, -y],
        [x, 0],
        [x / 2, y],
        [-x / 2, y],
      ]);
    case 'pool':
      return polygon([
        [-x, -y],
        [-x * 0.4, -y],
        [x, -y * 0.3],
        [x, y * 0.3],
        [-x * 0.4, y],
        [-x, y],
      ]);
    case 'add':
      return rounded(6, 6, 6);
    default:
      return rounded(x, y, Math.min(2.5, x));
  }
}

function polygon(points: [number, number][]): string {
  return `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join('L')}Z`;
}

function rounded(x: number, y: number, radius: number): string {
  const [w, h] = [round(2 * (x - radius)), round(2 * (y - radius))];
  const arc = (dx: number, dy: number): string => `a${radius} ${radius} 0 0 1 ${dx} ${dy}`;
  return (
    `M${round(-x + radius)} ${round(-y)}h${w}${arc(radius, radius)}v${h}${arc(-radius, radius)}` +
    `h${-w}${arc(-radius, -radius)}v${-h}${arc(radius, -radius)}Z`
  );
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

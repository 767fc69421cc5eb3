/** Okabe and Ito's colours, told apart by the colour-blind, and shapes for when they run out. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#9a8c00'];

export type Mark = 'circle' | 'square' | 'triangle' | 'diamond';
const MARKS: readonly Mark[] = ['circle', 'square', 'triangle', 'diamond'];

/** How the n-th run is drawn: no two of the first 28 look the same. */
export function runStyle(n: number): { colour: string; mark: Mark } {
  return {
    colour: COLOURS[n % COLOURS.length]!,
    mark: MARKS[(n + Math.floor(n / (COLOURS.length * MARKS.length))) % MARKS.length]!,
  };
}

/** A mark about the origin, of radius `r`. */
export function markPath(mark: Mark, r: number): string {
  if (mark === 'square') return `M${-r} ${-r}H${r}V${r}H${-r}Z`;
  if (mark === 'diamond') return `M0 ${-1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${-1.3 * r} 0Z`;
  if (mark === 'triangle') return `M0 ${-1.3 * r}L${1.2 * r} ${r}H${-1.2 * r}Z`;
  return `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`;
}

/** What hatching means, wherever it is drawn. */
export const HATCH = 'hatched: more units than the probe has rows, where this measure is biased';

/** Thin oblique lines as a pattern that a drawing refers to by its id. */
export function hatchPattern(id: string, colour: string): string {
  return (
    `<pattern id="${id}" width="5" height="5" patternUnits="userSpaceOnUse" ` +
    `patternTransform="rotate(45)"><path d="M0 0V5" stroke="${colour}" stroke-width="1.6"/></pattern>`
  );
}

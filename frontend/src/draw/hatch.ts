/** Why a measure cannot tell how alike two layers are: its bias, or a value as of the null. */
export type Doubt = 'rows' | 'null';

export const MEANING: Record<Doubt, string> = {
  rows: 'this measure makes unrelated layers look alike here; its note says why',
  null: 'not above the null, the 95\u00a0% quantile of what permuted images give',
};
/** What hatching means, wherever it is drawn, and what dashes of lines do. */
export const HATCH: Record<Doubt, string> = {
  rows: `hatched: ${MEANING.rows}`,
  null: `hatched thinly: ${MEANING.null}`,
};
export const DASHED = `dashed: ${MEANING.null}`;
/** What is said instead of hatching everything. */
export const ALL: Record<Doubt, string> = {
  rows: `all pairs of layers: ${MEANING.rows}`,
  null: 'no pair of layers is above its null, the 95 % quantile of what permuted images give',
};
/** The same beside a sample, in a few words. */
export const KEY: Record<Doubt, string> = { rows: 'biased here', null: 'not above the null' };
export const KEY_OF_ALL: Record<Doubt, string> = {
  rows: 'all pairs are biased here',
  null: 'no layer pair is above its null',
};

export const asSentence = (said: string): string => `${said[0]!.toUpperCase()}${said.slice(1)}.`;

/** Direction and width of the lines, so that the two can be told apart without colour. */
const LOOKS: Record<Doubt, { turn: number; width: number }> = {
  rows: { turn: 45, width: 1.3 },
  null: { turn: -45, width: 0.7 },
};
const [PITCH, OPACITY] = [6, 0.6];

/**
 * Oblique lines as a pattern that a drawing refers to by its id. What they cover shows through;
 * `shade` runs beside them, for where the ground may have their own colour.
 */
export function hatchPattern(id: string, colour: string, doubt: Doubt, shade = 'none'): string {
  const { turn, width } = LOOKS[doubt];
  const line = (x: number, stroke: string): string =>
    `<path d="M${x} 0V${PITCH}" stroke="${stroke}" stroke-opacity="${OPACITY}" stroke-width="${width}"/>`;
  return (
    `<pattern id="${id}" width="${PITCH}" height="${PITCH}" patternUnits="userSpaceOnUse" ` +
    `patternTransform="rotate(${turn})">${line(2, colour)}${line(2 + width, shade)}</pattern>`
  );
}

/** One outline around cells of a table that are `wide` and `tall`; neighbours in a row are joined. */
export function cellsPath(
  rows: number,
  columns: number,
  is: (row: number, column: number) => boolean,
  { left, top, wide, tall }: { left: number; top: number; wide: number; tall: number },
): string {
  const round = (value: number): number => Math.round(value * 100) / 100;
  let path = '';
  for (let row = 0; row < rows; row++) {
    for (let from = 0; from < columns; from++) {
      if (!is(row, from)) continue;
      let end = from + 1;
      while (end < columns && is(row, end)) end += 1;
      path += `M${round(left + from * wide)} ${round(top + row * tall)}h${round((end - from) * wide)}v${round(tall)}h${round((from - end) * wide)}z`;
      from = end;
    }
  }
  return path;
}

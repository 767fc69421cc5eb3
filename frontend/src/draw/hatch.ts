/** Why a measure cannot tell how alike two layers are: its bias, or a value as of the null. */
export type Doubt = 'rows' | 'null';

export const MEANING: Record<Doubt, string> = {
  rows: 'this measure makes unrelated layers look alike here; its note says why',
  null: 'not above the null, the 95 % quantile of what permuted images give',
};
/** What hatching means, wherever it is drawn, and what dashes of lines do. */
export const HATCH: Record<Doubt, string> = {
  rows: `hatched: ${MEANING.rows}`,
  null: `hatched thinly: ${MEANING.null}`,
};
export const DASHED = `dashed: ${MEANING.null}`;

/** Direction and width of the lines, so that the two can be told apart without colour. */
const LOOKS: Record<Doubt, { turn: number; width: number }> = {
  rows: { turn: 45, width: 1.6 },
  null: { turn: -45, width: 0.8 },
};

/** Oblique lines as a pattern that a drawing refers to by its id. */
export function hatchPattern(id: string, colour: string, doubt: Doubt): string {
  const { turn, width } = LOOKS[doubt];
  return (
    `<pattern id="${id}" width="5" height="5" patternUnits="userSpaceOnUse" ` +
    `patternTransform="rotate(${turn})"><path d="M0 0V5" stroke="${colour}" stroke-width="${width}"/></pattern>`
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

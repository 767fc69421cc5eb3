import { range, strength, type Sign, type Table } from '../../align/matrix';
import { shareOfChange, type Limits } from '../../align/steps';
import type { StepMapTable, TrendTable } from '../../api/types';
import { beginning, type Encoding } from '../../draw/encode';

/** A table over steps as it is drawn. */
export interface StepTable<T extends TrendTable | StepMapTable = TrendTable | StepMapTable> {
  cells: T;
  /** Values as a reader is told them. */
  table: Table;
  /** The same with distances turned round, so that more is more alike. */
  alike: Table;
  encoding: Encoding;
  /** What values can be, whatever the colours span. */
  whole: Encoding;
  /** Steps of rows (of a map of steps) and of columns. */
  rows: number[];
  columns: number[];
}

/** `way`: as a share of the change from the first step to the last; `fit`: in colours that span what is there. */
export function stepTable<T extends TrendTable | StepMapTable>(
  cells: T,
  { way, fit }: { way: boolean; fit: boolean },
  stepsOf: (ids: readonly string[]) => number[],
): StepTable<T> {
  const raw = { rows: cells.rows.length, columns: cells.columns.length, values: cells.values };
  const table = way ? shareOfChange(raw) : raw;
  const sign: Sign = cells.distance && !way ? -1 : 1;
  const alike = { ...table, values: strength(table.values, sign) };
  const [low, high] = range(alike);
  const [least, most] = range(table);
  // Where the measure has no bound, what is there stands for it.
  const first = cells.distance ? cells.low : beginning(cells.low);
  const ends = [first ?? least, cells.high ?? most].map((end) => sign * end);
  const whole = way
    ? { low: 0, high: 1, sign }
    : { low: Math.min(...ends), high: Math.max(...ends), sign };
  return {
    cells,
    table,
    alike,
    encoding: fit && !way ? { low, high, sign } : whole,
    whole,
    rows: stepsOf(cells.rows),
    columns: stepsOf(cells.columns),
  };
}

/** What values can be, as a reader is told them, and whether small ones mean alike (-1). */
export function limitsOf(drawn: StepTable | null): Limits {
  if (drawn === null) return { low: 0, high: 1, sign: 1 };
  const { low, high, sign } = drawn.whole;
  return sign > 0 ? { low, high, sign } : { low: -high, high: -low, sign };
}

/** Where in a list of steps the nearest one is, -1 if there is none. */
export function nearestStep(steps: readonly number[], wanted: number | undefined): number {
  if (wanted === undefined || steps.length === 0) return -1;
  return steps.reduce(
    (best, step, i) => (Math.abs(step - wanted) < Math.abs(steps[best]! - wanted) ? i : best),
    0,
  );
}

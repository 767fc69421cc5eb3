import type { Axis } from '../../state/address';

/** More steps than these are too many to be named each. */
const MOST_NAMED = 24;

/** What is wanted of a logarithmic axis that begins at the first step, be that 0 or not. */
interface Span {
  first: number;
  last: number;
  /** From the first step to the next. */
  unit: number;
}

function spanOf(steps: readonly number[]): Span {
  const first = steps[0] ?? 0;
  return {
    first,
    last: Math.max(steps.at(-1) ?? 1, first + 1),
    unit: (steps[1] ?? first + 1) - first,
  };
}

/** The axis on which ascending steps do not crowd: logarithmic where half of them lie in the first quarter. */
export function fittingAxis(steps: readonly number[]): Axis {
  const { first, last } = spanOf(steps);
  const middle = steps[(steps.length - 1) >> 1] ?? first;
  return steps.length > 3 && middle - first < (last - first) / 4 ? 'log' : 'linear';
}

/** Where a step lies between the first of ascending ones, at 0, and the last, at 1. */
export function placeOf(steps: readonly number[], axis: Axis): (step: number) => number {
  const { first, last, unit } = spanOf(steps);
  const along =
    axis === 'log'
      ? (step: number) => Math.log1p((step - first) / unit)
      : (step: number) => step - first;
  return (step) => along(step) / along(last);
}

/** Steps to name on a logarithmic axis: those that are there, or of too many the round ones. */
export function namedSteps(steps: readonly number[]): number[] {
  if (steps.length <= MOST_NAMED) return [...steps];
  const { first, last, unit } = spanOf(steps);
  const named = [first];
  for (let power = unit; first + power <= last; power *= 10) {
    for (const times of [1, 2, 5])
      if (first + times * power <= last) named.push(first + times * power);
  }
  return named;
}

/** Of ascending places those whose names, of such widths, leave a gap to the one before and to the last. */
export function apart(places: readonly number[], widths: readonly number[], gap: number): number[] {
  const last = places.length - 1;
  const near = (p: number, q: number): boolean =>
    Math.abs(places[p]! - places[q]!) < (widths[p]! + widths[q]!) / 2 + gap;
  const kept: number[] = [];
  for (let at = 0; at <= last; at++) {
    const before = kept.at(-1);
    if (before !== undefined && near(before, at)) continue;
    if (at === last || !near(at, last)) kept.push(at);
  }
  return kept;
}

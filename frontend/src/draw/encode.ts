import { tickStep, ticks } from 'd3-array';
import { range, type Scale, type Sign, type Table } from '../align/matrix';
import type { MeasureInfo } from '../api/types';
import { viridis } from './viridis';

/** From a value to how its line looks: linear in thickness, and in opacity unless there are many. */
export interface Encoding {
  low: number;
  high: number;
  /** -1 where values are distances whose sign was changed: they are printed as they were. */
  sign: Sign;
  /** Whether what is at the low end is not drawn as a line at all. */
  open?: boolean;
  /** How many lines there may be at once. */
  many?: number;
}

/**
 * Where the scale of a measure begins. Measures that go below 0 are about 0 for unrelated layers, so
 * that is where it begins: what is below looks as unrelated layers do.
 */
export function beginning(low: number | null): number | null {
  return low === null ? null : Math.max(low, 0);
}

/**
 * The ends of the scale. Raw values span what the measure can be, where it is bounded, so that a
 * thick line means the same in every comparison; `fit` spans what is there.
 */
export function domain(table: Table, scale: Scale, measure: MeasureInfo | null): Encoding {
  const [least, most] = range(table);
  if (scale === 'rank') return { low: 0, high: 1, sign: 1 };
  if (scale === 'null') return { low: 0, high: Math.max(0, most), sign: 1, open: true };
  const sign = measure?.distance ? -1 : 1;
  if (scale === 'fit') return { low: least, high: most, sign };
  const [low, high] = measure?.distance
    ? [measure.high === null ? least : -measure.high, measure.low === null ? most : -measure.low]
    : [beginning(measure?.low ?? null) ?? least, measure?.high ?? most];
  return { low, high, sign };
}

export interface Stroke {
  width: number;
  opacity: number;
}

const THINNEST = 1;
const THICKEST = 4.5;
const FAINTEST = 0.2;
const STRONGEST = 0.95;
/** So many lines hide one another. */
const CROWD = 300;
const TICKS = 5;
/** Of the range and of opacity: a line below that can hardly be seen alone. */
const LEAST_SEEN = { fraction: 0.05, opacity: 0.1 };

export function fraction(value: number, { low, high }: Omit<Encoding, 'sign'>): number {
  return high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 1;
}

/**
 * Among thousands of lines weak ones are nearly clear, as strong ones could not be seen otherwise.
 */
export function stroke(value: number, encoding: Encoding): Stroke {
  const t = fraction(value, encoding);
  const crowded = Math.max(1, (encoding.many ?? 0) / CROWD);
  const faintest = FAINTEST / crowded;
  return {
    width: THINNEST + t * (THICKEST - THINNEST),
    opacity: faintest + t ** (1 + Math.log2(crowded) / 2) * (STRONGEST - faintest),
  };
}

/** The colour of a value. */
export function heat(value: number, encoding: Encoding): string {
  return viridis(fraction(value, encoding));
}

/** A value as a reader wants it: three digits, a real minus sign. */
export function format(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const tiny = value !== 0 && Math.abs(value) < 0.001;
  const text = Math.abs(value) >= 1000 || tiny ? value.toExponential(2) : value.toFixed(3);
  return text.replaceAll('-', '−');
}

/** The place of a slider: what is less than a step from 0 is 0, and no power of ten. */
export function formatStep(value: number, step: number): string {
  return format(Math.abs(value) < step ? 0 : value);
}

function fixed(value: number, digits: number): string {
  return value.toFixed(digits).replace('-', '−');
}

/** A correlation: all that stand beside each other have as many digits. */
export function correlation(value: number): string {
  return fixed(value, 3);
}

/** A correlation that is read beside a picture or in a sentence, where two digits do. */
export function hundredths(value: number): string {
  return fixed(value, 2);
}

/** A share in per cent; the number and its sign are never on two lines. */
export function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)}\u00a0%`;
}

/** Ticks of what is drawn as lines: the faintest of all is not to be seen as a sample. */
export function lineTicks(encoding: Encoding): { value: number; text: string }[] {
  return readableTicks(encoding).filter(
    ({ value }) =>
      fraction(value, encoding) > LEAST_SEEN.fraction &&
      stroke(value, encoding).opacity > LEAST_SEEN.opacity,
  );
}

/** Round values between the ends, with as many digits as tell them apart. */
export function readableTicks({ low, high, sign }: Encoding): { value: number; text: string }[] {
  const digits = Math.max(0, -Math.floor(Math.log10(tickStep(low, high, TICKS) || 1)));
  return ticks(low, high, TICKS).map((value) => ({
    value,
    text: (sign * value || 0).toFixed(digits).replace('-', '−'),
  }));
}

import { tickStep, ticks } from 'd3-array';
import { interpolateViridis } from 'd3-scale-chromatic';

/** From a value to how its line looks: linear in thickness and opacity between two values. */
export interface Encoding {
  low: number;
  high: number;
}

export interface Stroke {
  width: number;
  opacity: number;
}

const THINNEST = 0.5;
const THICKEST = 4.5;
const FAINTEST = 0.08;
const STRONGEST = 0.95;
const TICKS = 5;

export function fraction(value: number, { low, high }: Encoding): number {
  return high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 1;
}

export function stroke(value: number, encoding: Encoding): Stroke {
  const t = fraction(value, encoding);
  return {
    width: THINNEST + t * (THICKEST - THINNEST),
    opacity: FAINTEST + t * (STRONGEST - FAINTEST),
  };
}

/** Viridis: even steps of lightness, safe for the colour-blind. */
export function heat(value: number, encoding: Encoding): string {
  return interpolateViridis(fraction(value, encoding));
}

/** A value as a reader wants it: three digits, no noise. */
export function format(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000 || (value !== 0 && Math.abs(value) < 0.001)) {
    return value.toExponential(2);
  }
  return value.toFixed(3);
}

/** Round values between the ends, with as many digits as tell them apart. */
export function readableTicks({ low, high }: Encoding): { value: number; text: string }[] {
  const digits = Math.max(0, -Math.floor(Math.log10(tickStep(low, high, TICKS) || 1)));
  return ticks(low, high, TICKS).map((value) => ({ value, text: value.toFixed(digits) }));
}

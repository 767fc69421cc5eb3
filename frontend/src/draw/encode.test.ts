import { describe, expect, it } from 'vitest';
import type { MeasureInfo } from '../api/types';
import {
  correlation,
  domain,
  format,
  formatStep,
  fraction,
  heat,
  hundredths,
  lineTicks,
  percent,
  readableTicks,
  stroke,
} from './encode';

describe('encoding', () => {
  const encoding = { low: 0.2, high: 0.8, sign: 1 as const };

  it('is linear between its ends and does not exaggerate beyond them', () => {
    expect(fraction(0.5, encoding)).toBeCloseTo(0.5);
    const [low, middle, high] = [0.2, 0.5, 0.8].map((v) => stroke(v, encoding));
    expect(middle!.width).toBeCloseTo((low!.width + high!.width) / 2);
    expect(middle!.opacity).toBeCloseTo((low!.opacity + high!.opacity) / 2);
    expect(stroke(5, encoding)).toEqual(high);
  });

  it('lets strong lines be seen among thousands of weak ones', () => {
    const crowd = { ...encoding, many: 5000 };
    const through = (value: number, lines: number) => (1 - stroke(value, crowd).opacity) ** lines;
    expect(through(0.3, 50)).toBeGreaterThan(0.3);
    expect(stroke(0.8, crowd)).toEqual(stroke(0.8, encoding));
    expect(stroke(0.5, { ...encoding, many: 123 })).toEqual(stroke(0.5, encoding));
  });

  it('never leaves a share apart from its sign', () => {
    expect(percent(0.256)).toBe('26\u00a0%');
    expect(percent(0.256, 1)).toBe('25.6\u00a0%');
  });

  it('prints ticks with as many digits as tell them apart', () => {
    expect(readableTicks({ low: 0.31, high: 0.94, sign: 1 }).map((t) => t.text)).toContain('0.4');
    expect(readableTicks({ low: 0.9, high: 0.94, sign: 1 }).map((t) => t.text)).toContain('0.91');
  });

  it('grows lighter with the value', () => {
    const light = (colour: string): number => Number.parseInt(colour.slice(3, 5), 16);
    expect(light(heat(0.2, encoding))).toBeLessThan(light(heat(0.5, encoding)));
    expect(light(heat(0.5, encoding))).toBeLessThan(light(heat(0.8, encoding)));
  });

  it('prints what is not a number as a dash', () => {
    expect(format(NaN)).toBe('–');
    expect(format(0.12345)).toBe('0.123');
    expect(format(12345)).toBe('1.23e+4');
  });
});

describe('a correlation', () => {
  it('has three digits, however near to 0 it is', () => {
    expect([-0.000294, 0.107, -0.059].map(correlation)).toEqual(['−0.000', '0.107', '−0.059']);
  });
});

describe('the scale of a measure', () => {
  const table = { rows: 1, columns: 3, values: new Float64Array([-0.04, 0.1, 0.6]) };
  const of = (low: number | null, high: number | null, distance = false) => {
    const { low: from, high: to } = domain(table, 'raw', { low, high, distance } as MeasureInfo);
    return [from, to];
  };

  it('begins at 0, where layers are unrelated, if the measure goes below', () => {
    expect(of(-1, 1)).toEqual([0, 1]);
    expect(of(0, 1)).toEqual([0, 1]);
    const scale = { low: 0, high: 1, sign: 1 as const };
    expect(stroke(-0.04, scale)).toEqual(stroke(0, scale));
  });

  it('spans what is there where the measure has no bound, and turns distances round', () => {
    expect(of(null, 1)).toEqual([-0.04, 1]);
    expect(of(0, 2, true)).toEqual([-2, -0]);
  });
});

describe('the legend of lines', () => {
  it('has no sample of the faintest line, which nobody could see', () => {
    const scale = { low: 0, high: 0.4, sign: 1 as const };
    expect(lineTicks(scale).map((tick) => tick.value)).toEqual([0.1, 0.2, 0.3, 0.4]);
    expect(lineTicks({ ...scale, low: 0.15 })[0]!.value).toBe(0.2);
    // Among thousands of lines weak ones are nearly clear.
    expect(lineTicks({ ...scale, many: 20_000 }).map((tick) => tick.value)).toEqual([0.3, 0.4]);
    // Of a distance the largest are faint: 1.4 of 1.414 can hardly be seen.
    const distances = lineTicks({ low: -Math.SQRT2, high: 0, sign: -1 });
    expect(distances[0]!.text).toBe('1.2');
  });
});

describe('numbers', () => {
  it('of a slider that begins beside 0 are no powers of ten', () => {
    expect(formatStep(1e-4, 0.005)).toBe('0.000');
    expect(formatStep(-1e-4, 0.005)).toBe('0.000');
    expect(formatStep(-0.25, 0.005)).toBe('−0.250');
  });

  it('below 0 have a minus sign, and no hyphen', () => {
    expect(hundredths(-0.36)).toBe('−0.36');
  });
});

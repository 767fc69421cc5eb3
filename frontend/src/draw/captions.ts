import type { Side } from './figure';

/** The value of one pair of layers, and between which ends it lies, as far as these are known. */
export function sentenceOfPair(pair: {
  names: Record<Side, string>;
  title: string;
  value: string | null;
  interval: string | null;
  meaning: string;
  nullMean: string | null;
}): string | null {
  const { names, title, value, interval, meaning, nullMean } = pair;
  if (value === null) return null;
  const ends = interval === null ? '' : ` (${meaning}: ${interval})`;
  const null_ = nullMean === null ? '' : `; null, images permuted: ${nullMean}`;
  return `A’s ${names.a} and B’s ${names.b}: ${title} ${value}${ends}${null_}.`;
}

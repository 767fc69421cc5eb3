import type { MeasureInfo } from '../api/types';

type Listed = Pick<MeasureInfo, 'advice' | 'family' | 'name' | 'summary' | 'title'>;

/** Those that come with a line on when to choose them. */
export function advised<M extends Listed>(measures: readonly M[]): M[] {
  return measures.filter((measure) => measure.advice !== '');
}

/** A menu: what is advised first, then all others by family, in the order of their declaration. */
export function menuOf<M extends Listed>(
  measures: readonly M[],
): { heading: string; measures: M[] }[] {
  const first = advised(measures);
  const others = measures.filter((measure) => measure.advice === '');
  const families = [...new Set(others.map((measure) => measure.family))];
  return [
    ...(first.length ? [{ heading: 'Advised', measures: first }] : []),
    ...families.map((family) => ({
      heading: first.length ? `More: ${family}` : family,
      measures: others.filter((measure) => measure.family === family),
    })),
  ];
}

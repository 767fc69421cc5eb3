import type { BehaviourInfo } from '../../api/generated';
import { hundredths, percent } from '../../draw/encode';
import type { Word } from '../../ui/hints';

/** How alike two classifiers answer: terms of the glossary, of which model, and their values. */
export function answersOf(found: BehaviourInfo): { word: Word; term: string; value: string }[] {
  const bits = `${found.jensen_shannon_divergence.toFixed(3)}\u00a0bits`;
  const consistency = found.error_consistency ?? null;
  return [
    { word: 'disagreement', term: 'disagreement', value: percent(found.disagreement, 1) },
    { word: 'divergence', term: 'divergence', value: bits },
    ...(found.top_1 ?? []).map((share, at) => ({
      word: 'top1' as const,
      term: `top-1 of ${'AB'[at]}`,
      value: percent(share, 1),
    })),
    ...(consistency === null
      ? []
      : [
          {
            word: 'consistency' as const,
            term: 'error consistency',
            value: hundredths(consistency),
          },
        ]),
  ];
}

import type { DrawnDirection, JobItem } from '../../api/types';
import { correlation, format, hundredths, percent } from '../../draw/encode';

export type Answer = DrawnDirection['direction'];

/** The directions of a layer that answer to a unit of another, and a sentence about each. */
export const ANSWERS: Record<Answer, { name: string; meaning: string }> = {
  regression: {
    name: 'regression direction',
    meaning:
      'The regression direction is where the other layer goes when the unit is active and the ' +
      'units that are active with it are accounted for.',
  },
  pattern: {
    name: 'pattern',
    meaning: 'The pattern is what varies together with the unit in the other layer.',
  },
  decoder: {
    name: 'decoder',
    meaning:
      "The decoder weighs the other layer's units so that they predict the unit best; its picture " +
      'can mislead, as weights of correlated units cancel.',
  },
};

/** The interval of the correlation, and its null where there is one. */
export function spread({ low, high, null: null_ }: DrawnDirection): string[] {
  return [
    `[${correlation(low)}, ${correlation(high)}]`,
    ...(null_ === null ? [] : [`null ${correlation(null_)}`]),
  ];
}

/** Whether the direction follows the unit no better than it follows permuted images. */
export function showsElse({ low, null: null_ }: DrawnDirection): boolean {
  return low <= (null_ ?? 0);
}

const ROLES: Partial<Record<JobItem['role'], string>> = {
  source: 'the unit itself',
  difference: 'residual direction',
};

interface Strength {
  text: string;
  /** As it stands under a picture. */
  brief: string;
  meaning: string;
}

/** How a picture ranks among the probe's images, and what that means; null where it is not known. */
export function strengthOf({ stronger_than: share }: JobItem): Strength | null {
  if (share === null) return null;
  const part = share === 1 ? 'all' : `${percent(Math.floor(100 * share) / 100)} of`;
  return {
    text: `stronger than ${part}${share === 1 ? '' : ' the'} images`,
    brief: `> ${part} images`,
    meaning:
      'So many of the probe’s images excite the direction that is drawn less than this picture does.',
  };
}

/** A picture's numbers, a line each. */
export function numbersOf({ role, drawn, r2, best_unit, step }: JobItem): string[] {
  return [
    ROLES[role] ?? role,
    ...(drawn
      ? [
          `${ANSWERS[drawn.direction].name}: r ${correlation(drawn.correlation)} ${spread(drawn).join(', ')}`,
          ...(showsElse(drawn) ? ['its interval includes the null: it shows something else'] : []),
        ]
      : []),
    ...(r2 === null ? [] : [`R² ${format(r2)} on images left out`]),
    ...(best_unit ? [`unit ${best_unit.unit}, ρ ${hundredths(best_unit.correlation)}`] : []),
    `${step} steps`,
  ];
}

/** What the numbers beside a picture say. */
export function explained(drawn: DrawnDirection, r2: number | null): string {
  const sentences = [
    `Correlation of the activity along the ${ANSWERS[drawn.direction].name}, which is drawn, with ` +
      "the unit's, on images that it was not fitted to, and its 95\u00a0% interval over images.",
  ];
  if (drawn.null !== null)
    sentences.push('Null: the 95\u00a0% quantile of the correlation when images are permuted.');
  if (r2 !== null)
    sentences.push(`All units of the layer together predict the unit with an R² of ${format(r2)}.`);
  return sentences.join(' ');
}

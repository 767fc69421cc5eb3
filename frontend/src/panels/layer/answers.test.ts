import { describe, expect, it } from 'vitest';
import type { BehaviourInfo } from '../../api/generated';
import { answersOf } from './answers';

describe('how two classifiers answer', () => {
  const found: BehaviourInfo = {
    images: 60,
    classes: 1000,
    disagreement: 0.4167,
    jensen_shannon_divergence: 0.301,
    top_1: [0.8, 0.6],
    error_consistency: -0.05,
  };
  const said = (of: BehaviourInfo): string[] =>
    answersOf(of).map(({ term, value }) => `${term} ${value}`);

  it('says of which model a number is', () => {
    expect(said(found)).toEqual([
      'disagreement 41.7\u00a0%',
      'divergence 0.301\u00a0bits',
      'top-1 of A 80.0\u00a0%',
      'top-1 of B 60.0\u00a0%',
      'error consistency −0.05',
    ]);
  });
  it('leaves out what takes labels where there are none', () => {
    expect(said({ ...found, top_1: null, error_consistency: null })).toHaveLength(2);
  });
});

import { describe, expect, it } from 'vitest';
import { sentenceOfPair } from './captions';

const PAIR = {
  names: { a: 'inception_4d', b: 'expanded_conv_7' },
  title: 'Linear CKA',
  value: '0.412',
  interval: '0.380 to 0.441',
  meaning: '95 % repeatability at 300 images',
  nullMean: '0.051',
};

describe('the sentence of a pair', () => {
  it('has the interval with what its ends are for, and the null', () => {
    expect(sentenceOfPair(PAIR)).toBe(
      'A’s inception_4d and B’s expanded_conv_7: Linear CKA 0.412 ' +
        '(95 % repeatability at 300 images: 0.380 to 0.441); null, images permuted: 0.051.',
    );
  });
  it('has the value alone as long as nothing else is known', () => {
    expect(sentenceOfPair({ ...PAIR, interval: null, nullMean: null })).toBe(
      'A’s inception_4d and B’s expanded_conv_7: Linear CKA 0.412.',
    );
  });
  it('is left out where the pair has no value', () => {
    expect(sentenceOfPair({ ...PAIR, value: null })).toBeNull();
  });
});

import { describe, expect, it } from 'vitest';
import { elide, shortNames } from './names';

const LETTERS = 22;
const length = (text: string): number => [...new Intl.Segmenter().segment(text)].length;
const shorten = (names: readonly string[], letters = LETTERS): string[] => {
  const { of } = shortNames(names, letters);
  return names.map(of);
};
const numbered = (count: number, make: (k: number) => string): string[] =>
  Array.from({ length: count }, (_, k) => make(k));

describe('short names', () => {
  it('stay as they are where all fit', () => {
    const names = ['conv1', 'conv2', ''];
    expect(shorten(names)).toEqual(names);
    expect(shortNames(names, LETTERS).said('B')).toBeNull();
    expect(shorten([])).toEqual([]);
  });

  it('of MobileNetV2 keep the number and the part', () => {
    const names = [
      'Conv',
      ...numbered(16, (k) => `expanded_conv_${k}_expand_batch`),
      ...numbered(16, (k) => `expanded_conv_${k}_depthwise`),
      'Logits',
    ];
    const { of, said } = shortNames(names, LETTERS);
    expect(of('expanded_conv_13_depthwise')).toBe('…13_depthwise');
    expect(of('Logits')).toBe('Logits');
    expect(said('B')).toBe("In B's names, “…” stands for “expanded_conv_”.");
  });

  it('leave out what all share, and say it once', () => {
    const names = numbered(3, (k) => `resnet/backbone/stage_${k + 1}/conv2d/relu_activation`);
    expect(shorten(names)).toEqual(['1', '2', '3']);
    expect(shortNames(names, LETTERS).said('A')).toBe(
      "In A's names, the beginning “resnet/backbone/stage_” is left out and " +
        'the end “/conv2d/relu_activation” is left out.',
    );
  });

  it('keep the letter by which names differ, wherever it is', () => {
    const middle = [...'klmnopq'].map((letter) => `a${'b'.repeat(30)}${letter}${'c'.repeat(30)}`);
    for (const short of shorten(middle)) expect(short).toMatch(/^ab+…[k-q]…c+$/);
    const late = numbered(10, (k) => `${'x'.repeat(58)}${k}y`);
    const early = [...'klmnopq'].map((letter) => `y${letter}${'x'.repeat(58)}`);
    expect(shorten(late).every((name, k) => name.endsWith(`${k}y`))).toBe(true);
    expect(
      shorten(early)
        .map((name) => name.slice(0, 2))
        .join(''),
    ).toBe('ykylymynyoypyq');
  });

  const adversaries: Record<string, string[]> = {
    'one of 60 letters': ['n'.repeat(60)],
    '60 letters that differ at two positions': numbered(
      40,
      (k) => `${'p'.repeat(20)}${k % 8}${'q'.repeat(20)}${Math.floor(k / 8)}${'r'.repeat(20)}`,
    ),
    'a name that is the beginning of all others': [
      'expanded_conv_',
      'expanded_conv',
      ...numbered(20, (k) => `expanded_conv_${k}_${'depthwise_'.repeat(4)}`),
    ],
    'equal ends': numbered(12, (k) => `${'uvw'.repeat(k + 1)}/conv2d/batch_normalization/relu`),
    'dots in names': [
      '…1_depthwise',
      ...numbered(20, (k) => `expanded_conv_x_${k}_depthwise_conv`),
    ],
    'one the other without a letter': [
      'ab'.repeat(30),
      `${'ab'.repeat(29)}a`,
      `b${'ab'.repeat(29)}`,
    ],
    'Japanese and flags': numbered(
      9,
      (k) => `${'畳み込み層'.repeat(6)}🇯🇵${k}${'活性化👩‍🔬'.repeat(6)}`,
    ),
  };
  it.each(Object.entries(adversaries))('stay distinct: %s', (_, names) => {
    const short = shorten(names);
    expect(new Set(short).size).toBe(names.length);
    expect(short.every((text, at) => text !== '' || names[at] === '')).toBe(true);
    for (const text of short) {
      expect(length(text)).toBeLessThanOrEqual(LETTERS + 6);
      expect(text.isWellFormed()).toBe(true);
    }
  });

  it('are whole where only their length tells them apart', () => {
    const names = ['_'.repeat(40), '_'.repeat(41), '/'.repeat(50)];
    expect(new Set(shorten(names)).size).toBe(3);
  });

  it('alone lose their middle, at any length', () => {
    expect(elide('conv', 8)).toBe('conv');
    expect(elide('convolution', 6)).toBe('con…on');
    expect(elide('convolution', 2)).toBe('c…');
  });
});

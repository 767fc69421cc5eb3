import { describe, expect, it } from 'vitest';
import { find, passing } from './filter';

const layer = (name: string, kind = 'conv', op = 'Conv2D', units: number | null = 64) => ({
  name,
  kind,
  op,
  units,
});
const A = [layer('conv1'), layer('pool1', 'pool', 'MaxPooling2D'), layer('inception_4c_3x3')];
const B = [layer('Conv', 'conv', 'DepthwiseConv2D'), layer('expanded_4', 'add', 'Add', 8)];
const names = (found: { name: string }[]): string[] => found.map(({ name }) => name);

describe('passing', () => {
  it('filters by parts of names, kinds and expressions, all of which hold', () => {
    expect(names(passing('', 'a', A))).toEqual(names(A));
    expect(names(passing('4C', 'a', A))).toEqual(['inception_4c_3x3']);
    expect(names(passing('kind:conv', 'a', A))).toEqual(['conv1', 'inception_4c_3x3']);
    expect(names(passing('tag:maxpool', 'a', A))).toEqual(['pool1']);
    expect(names(passing('kind:conv 3x3$', 'a', A))).toEqual(['inception_4c_3x3']);
    expect(names(passing('1$ -kind:pool', 'a', A))).toEqual(['conv1']);
    expect(names(passing('^(conv1|pool1)$', 'a', A))).toEqual(['conv1', 'pool1']);
  });

  it('asks one model only after its letter', () => {
    expect(names(passing('a:4c', 'a', A))).toEqual(['inception_4c_3x3']);
    expect(names(passing('a:4c', 'b', B))).toEqual(names(B));
    expect(names(passing('a:4c b:kind:add', 'b', B))).toEqual(['expanded_4']);
  });

  it('leaves a model whole in which nothing passes, and takes any letters', () => {
    expect(names(passing('nothing', 'a', A))).toEqual(names(A));
    for (const text of ['(', '[', '\\', '*', '+', '-', 'a:', 'kind:', '((((', '?']) {
      expect(passing(text, 'a', A).length).toBeGreaterThan(0);
    }
    expect(names(passing('c(', 'a', [...A, layer('c(1)')]))).toEqual(['c(1)']);
  });
});

describe('find', () => {
  it('finds layers of both models in turn', () => {
    expect(find('4', { a: A, b: B }, 9)).toEqual([
      { side: 'a', layer: 'inception_4c_3x3', unit: null },
      { side: 'b', layer: 'expanded_4', unit: null },
    ]);
    expect(find('4', { a: A, b: B }, 1)).toHaveLength(1);
    expect(find('  ', { a: A, b: B }, 9)).toEqual([]);
    expect(find('nothing', { a: A, b: B }, 9)).toEqual([]);
  });

  it('finds a unit by its layer and number, where the layer has so many', () => {
    const found = find('_4:7', { a: A, b: B }, 9);
    expect(found).toContainEqual({ side: 'b', layer: 'expanded_4', unit: 7 });
    expect(find('_4 8', { a: A, b: B }, 9).filter(({ side }) => side === 'b')).toEqual([]);
  });
});

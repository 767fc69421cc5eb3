import { describe, expect, it } from 'vitest';
import { advised, menuOf } from './measures';

const measure = (name: string, family: string, advice = '') => ({
  name,
  family,
  advice,
  title: name.toUpperCase(),
  summary: '',
});

describe('the menu of measures', () => {
  const all = [
    measure('p', 'CKA', 'when it is so'),
    measure('q', 'CKA'),
    measure('r', 'Shape'),
    measure('s', 'CKA'),
    measure('t', 'Shape', 'when it is not'),
  ];
  it('has what is advised first and each other measure once, under its family', () => {
    expect(advised(all).map(({ name }) => name)).toEqual(['p', 't']);
    const menu = menuOf(all).map(({ heading, measures }) => [
      heading,
      measures.map(({ name }) => name).join(''),
    ]);
    expect(menu).toEqual([
      ['Advised', 'pt'],
      ['More: CKA', 'qs'],
      ['More: Shape', 'r'],
    ]);
  });
  it('is by family alone where nothing is advised, as in a report', () => {
    expect(menuOf([measure('q', 'CKA')]).map(({ heading }) => heading)).toEqual(['CKA']);
    expect(menuOf([])).toEqual([]);
  });
});

import { expect, it } from 'vitest';
import { calling, runBeside } from './runs';

it('leaves out a run that says nothing beside the name of its model', () => {
  expect(runBeside({ run: 'seeds/first', name: 'net' })).toBe('seeds/first');
  expect(runBeside({ run: 'net', name: 'net' })).toBeNull();
  expect(runBeside({ run: '.', name: 'net' })).toBeNull();
});

it('leaves out a step that is the only one of its model, unless there may be others', () => {
  const [only, first, last] = [
    { run: 'net', name: 'net', step: 70 },
    { run: 'seeds/first', name: 'net', step: 0 },
    { run: 'seeds/first', name: 'net', step: 500 },
  ];
  const called = calling([only, first, last], true);
  expect([only, first, last].map(called.step)).toEqual([null, 0, 500]);
  expect([only, first].map(called.whole)).toEqual(['net', 'seeds/first/net 0']);
  // A report holds one step of each, whatever the run has.
  expect(calling([only], false).step(only)).toBe(70);
});

import { expect, it } from 'vitest';
import { runBeside } from './runs';

it('leaves out a run that says nothing beside the name of its model', () => {
  expect(runBeside({ run: 'seeds/first', name: 'net' })).toBe('seeds/first');
  expect(runBeside({ run: 'net', name: 'net' })).toBeNull();
  expect(runBeside({ run: '.', name: 'net' })).toBeNull();
});

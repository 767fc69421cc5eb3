import { describe, expect, it } from 'vitest';
import type { SnapshotInfo } from '../api/types';
import { openingPair } from './opening';

const NONE = { a: null, b: null };

function snapshot(run: string, step: number, wall_time: number, probe_id = 'p'): SnapshotInfo {
  return { id: `${run}@${step}`, run, name: run, step, wall_time, probe_id } as SnapshotInfo;
}

describe('what the tab opens on', () => {
  const trained = [snapshot('old', 9, 1), ...[0, 5].map((step) => snapshot('new', step, 2 + step))];

  it('are the two latest models of one probe at their last steps', () => {
    expect(openingPair(trained, NONE)).toEqual({ a: 'old@9', b: 'new@5' });
    expect(openingPair([...trained, snapshot('newest', 3, 99)], NONE)).toEqual({
      a: 'new@5',
      b: 'newest@3',
    });
    // The latest model of all has a probe that nothing else has.
    expect(openingPair([...trained, snapshot('alone', 0, 999, 'q')], NONE)).toEqual({
      a: 'old@9',
      b: 'new@5',
    });
  });

  it('are the last two steps of one model, and a single snapshot against itself', () => {
    expect(openingPair(trained.slice(1), NONE)).toEqual({ a: 'new@0', b: 'new@5' });
    expect(openingPair([trained[0]!], NONE)).toEqual({ a: 'old@9', b: 'old@9' });
    expect(openingPair([], NONE)).toEqual(NONE);
  });

  it('keeps what the address has, and never mixes probes', () => {
    const two = [...trained, snapshot('else', 0, 50, 'q'), snapshot('also', 0, 49, 'q')];
    expect(openingPair(two, { a: 'new@0', b: null })).toEqual({ a: 'new@0', b: 'old@9' });
    expect(openingPair(two, { a: null, b: 'else@0' })).toEqual({ a: 'also@0', b: 'else@0' });
    expect(openingPair(two, { a: 'gone@1', b: 'new@0' })).toEqual({ a: 'gone@1', b: 'new@0' });
  });
});

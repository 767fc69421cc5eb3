import { expect, test } from 'vitest';
import type { SnapshotInfo } from '../../api/types';
import { possibleSeeds } from './seeds';

const logged = (run: string, step: number, layers = 'same', probe = 'probe'): SnapshotInfo =>
  ({
    ...{ id: `${run}@${step}`, run, name: 'net', step },
    ...{ layers_digest: layers, probe_id: probe },
  }) as SnapshotInfo;

test('other runs of the same layers and probe are offered, each at one step', () => {
  const snapshots = [
    ...[0, 10, 20].map((step) => logged('a', step)),
    ...[0, 10, 20].map((step) => logged('seed1', step)),
    ...[5, 30].map((step) => logged('seed2', step)),
    logged('b', 10),
    logged('other', 10, 'different'),
    logged('elsewhere', 10, 'same', 'another'),
  ];
  const view = { a: 'a@10', b: 'b@10' };
  const ids = (side: 'a' | 'b'): string[] => possibleSeeds(snapshots, view, side).map((s) => s.id);
  expect(ids('a')).toEqual(['seed1@10', 'seed2@30']);
  expect(ids('b')).toEqual(['seed1@10', 'seed2@30']);
  expect(possibleSeeds(snapshots, { a: 'other@10', b: 'b@10' }, 'a')).toEqual([]);
  expect(possibleSeeds(snapshots, { a: 'gone', b: 'b@10' }, 'a')).toEqual([]);
});

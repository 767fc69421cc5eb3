import { group } from 'd3-array';
import type { SnapshotInfo } from './types';

/** Snapshots by the model that they are steps of, each in order of step. */
export function byModel(snapshots: readonly SnapshotInfo[]): SnapshotInfo[][] {
  const groups = group(snapshots, (s) => `${s.run}\n${s.name}`);
  return [...groups.values()].map((list) => list.toSorted((p, q) => p.step - q.step));
}

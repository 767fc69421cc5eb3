import type { SnapshotInfo } from './types';

/** Snapshots by the model that they are steps of, each in order of step. */
export function byModel(snapshots: readonly SnapshotInfo[]): SnapshotInfo[][] {
  const groups = Object.groupBy(snapshots, (s) => `${s.run}\n${s.name}`);
  return Object.values(groups).map((list) => (list ?? []).toSorted((p, q) => p.step - q.step));
}

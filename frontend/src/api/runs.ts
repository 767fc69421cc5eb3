import { group } from 'd3-array';
import type { SnapshotInfo } from './types';

/** Snapshots by the model that they are steps of, each in order of step. */
export function byModel(snapshots: readonly SnapshotInfo[]): SnapshotInfo[][] {
  const groups = group(snapshots, (s) => `${s.run}\n${s.name}`);
  return [...groups.values()].map((list) => list.toSorted((p, q) => p.step - q.step));
}

/** The run that stands beside a model's name: not where it says the same, or is the log directory. */
export function runBeside({ run, name }: Pick<SnapshotInfo, 'run' | 'name'>): string | null {
  return run === name || run === '.' ? null : run;
}

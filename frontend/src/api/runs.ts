import { group, rollup } from 'd3-array';
import type { SnapshotInfo } from './types';

const modelOf = ({ run, name }: Pick<SnapshotInfo, 'run' | 'name'>): string => `${run}\n${name}`;

/** Snapshots by the model that they are steps of, each in order of step. */
export function byModel(snapshots: readonly SnapshotInfo[]): SnapshotInfo[][] {
  const groups = group(snapshots, modelOf);
  return [...groups.values()].map((list) => list.toSorted((p, q) => p.step - q.step));
}

/** The run that stands beside a model's name: not where it says the same, or is the log directory. */
export function runBeside({ run, name }: Pick<SnapshotInfo, 'run' | 'name'>): string | null {
  return run === name || run === '.' ? null : run;
}

type Named = Pick<SnapshotInfo, 'run' | 'name' | 'step'>;

/** How snapshots are called on the screen. `complete`: whether all steps of each are among them. */
export function calling(all: readonly Named[], complete: boolean) {
  const steps = rollup(all, (those) => those.length, modelOf);
  /** What stands beside a model's name: not where it is the model's only step. */
  function step(of: Named): number | null {
    return complete && steps.get(modelOf(of)) === 1 ? null : of.step;
  }
  return {
    step,
    /** In a list of the steps of several models. */
    whole(of: Named): string {
      const run = runBeside(of);
      return `${run ? `${run}/` : ''}${of.name} ${step(of) ?? ''}`.trimEnd();
    },
  };
}

import { byModel } from '../api/runs';
import type { SnapshotInfo } from '../api/types';

type Pair = Record<'a' | 'b', string | null>;

/**
 * What the tab opens on where the address does not say it: the two latest models of one probe,
 * each at its last step. Of a single model its last two steps; of a single snapshot itself.
 * What the address has of the pair stays, and the other side is of the same probe.
 */
export function openingPair(snapshots: readonly SnapshotInfo[], { a, b }: Pair): Pair {
  const known = snapshots.find(({ id }) => id === a) ?? snapshots.find(({ id }) => id === b);
  const models = byModel(snapshots)
    .filter((steps) => !known || steps[0]!.probe_id === known.probe_id)
    .toSorted((p, q) => latest(q) - latest(p));
  const last = (steps: SnapshotInfo[]): SnapshotInfo => steps.at(-1)!;
  const given = a ?? b;
  if (given !== null) {
    const others = models.filter((steps) => steps.every(({ id }) => id !== given));
    const other = others[0]?.at(-1)?.id ?? given;
    return { a: a ?? other, b: b ?? other };
  }
  for (const [at, newer] of models.entries()) {
    const older = models.slice(at + 1).find((m) => m[0]!.probe_id === newer[0]!.probe_id);
    if (older) return { a: last(older).id, b: last(newer).id };
  }
  const only = models[0];
  return { a: (only?.at(-2) ?? only?.at(-1))?.id ?? null, b: only?.at(-1)?.id ?? null };
}

function latest(steps: readonly SnapshotInfo[]): number {
  return Math.max(...steps.map((step) => step.wall_time));
}

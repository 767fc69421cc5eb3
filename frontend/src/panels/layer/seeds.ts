import type { SnapshotInfo } from '../../api/types';
import { OTHER, type View } from '../../state/address';
import type { Side } from '../../state/session.svelte';

/**
 * What may be another training of a side's model: other runs and models with the same layers, on the
 * same probe. Of each, one step: the one of this side, or else the last. The names of runs do not
 * tell which of them differ by their seed alone, so the reader has to.
 */
export function possibleSeeds(
  snapshots: readonly SnapshotInfo[],
  view: Pick<View, Side>,
  side: Side,
): SnapshotInfo[] {
  const of = snapshots.find(({ id }) => id === view[side]);
  const other = snapshots.find(({ id }) => id === view[OTHER[side]]);
  const whose = ({ run, name }: SnapshotInfo): string => JSON.stringify([run, name]);
  const found = new Map<string, SnapshotInfo>();
  for (const one of snapshots) {
    const taken = [of, other].some((chosen) => chosen && whose(chosen) === whose(one));
    if (!of || taken) continue;
    if (one.probe_id !== of.probe_id || one.layers_digest !== of.layers_digest) continue;
    const best = found.get(whose(one));
    const better =
      one.step === of.step || (best?.step !== of.step && one.step > (best?.step ?? -1));
    if (!best || better) found.set(whose(one), one);
  }
  return [...found.values()];
}

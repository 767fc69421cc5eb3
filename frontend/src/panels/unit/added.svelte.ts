import { SvelteMap } from 'svelte/reactivity';
import type { SnapshotInfo } from '../../api/types';
import { LETTERS, shortNames } from '../../layout/names';
import type { Session } from '../../state/session.svelte';
import { evenly, MOST_MORE, type Model } from './rows';

/** The models that the reader added to the two that are compared. */
export function createAddedModels(
  session: Pick<Session, 'data' | 'source' | 'view'>,
  /** How many layers of each are drawn. */
  count: () => number,
) {
  const { data, source, view } = session;
  /** Names of the logged layers, in order of depth, by the contents of the snapshot. */
  const layers = new SvelteMap<string, readonly string[]>();

  /** The other models of the probe that can be rendered. */
  const others = $derived.by<SnapshotInfo[]>(() => {
    const all = data.listing?.snapshots ?? [];
    const probe = all.find(({ id }) => id === view.a)?.probe_id;
    return all.filter(
      ({ id, probe_id, renderable }) =>
        renderable && probe_id === probe && id !== view.a && id !== view.b,
    );
  });
  const chosen = $derived(
    view.more.flatMap((id) => others.find((one) => one.id === id) ?? []).slice(0, MOST_MORE),
  );
  $effect(() => {
    for (const { id, digest } of chosen) {
      if (layers.has(digest)) continue;
      source.graph(id).then(
        ({ nodes }) =>
          layers.set(
            digest,
            nodes.filter(({ logged }) => logged).map(({ name }) => name),
          ),
        () => undefined, // whoever asks for its pictures hears why
      );
    }
  });

  return {
    /** What can still be added. */
    get candidates(): SnapshotInfo[] {
      return others.filter((one) => !chosen.includes(one));
    },
    /** Those whose layers are known; without similarities to go by, layers of all depths. */
    get models(): Model[] {
      return chosen.flatMap((snapshot): Model[] => {
        const names = layers.get(snapshot.digest);
        if (!names) return [];
        const drawn = evenly(names, count());
        return [{ snapshot, side: null, layers: drawn, short: shortNames(names, LETTERS) }];
      });
    },
  };
}

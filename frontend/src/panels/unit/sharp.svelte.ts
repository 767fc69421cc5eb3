import { untrack } from 'svelte';
import { SvelteMap } from 'svelte/reactivity';
import type { AnalogiesRequest } from '../../api/generated';
import type { Source } from '../../api/source';
import type { JobItem } from '../../api/types';
import { createFollower } from '../../state/jobs.svelte';

const nameOf = ({ snapshot, layer, role }: JobItem): string => [snapshot, layer, role].join('\n');

/**
 * Pictures as large as their layers need. Those of a row are quick and small; one that is looked at
 * in large is drawn again, and takes the place of the small one once it is there. The request is null
 * where nothing can be drawn.
 */
export function createSharp(source: Source, request: () => AnalogiesRequest | null) {
  const follower = createFollower(source);
  const finished = new SvelteMap<string, JobItem>();
  let wanted = $state.raw<string | null>(null);
  const asked = $derived.by((): AnalogiesRequest | null => {
    const small = request();
    return small && { ...small, size: 'auto' };
  });

  /** Keep what is finished, once the browser has it: nothing goes blank where it appears. */
  async function keep(items: readonly JobItem[], of: AnalogiesRequest): Promise<void> {
    const done = items.filter((item) => item.image && item.step === of.steps);
    for (const item of done.filter((one) => !finished.has(nameOf(one)))) {
      const image = new Image();
      image.src = source.picture(item.image!);
      const loaded = await image.decode().then(
        () => true,
        () => false, // the small one stays
      );
      if (loaded && JSON.stringify(of) === JSON.stringify(asked)) finished.set(nameOf(item), item);
    }
  }

  // What was drawn before is there at once.
  const text = $derived(JSON.stringify(asked));
  $effect(() => {
    const of = JSON.parse(text) as AnalogiesRequest | null;
    finished.clear();
    if (!source.live || !of) return;
    source.known(of).then(
      (items) => void keep(items, of),
      () => undefined, // whoever asks for them hears why
    );
  });

  return {
    /** The sharp picture in place of a small one, if there is one. */
    of(item: JobItem): JobItem {
      const found = finished.get(nameOf(item));
      return found ? { ...found, key: item.key } : item;
    },
    /** What is said beside a picture while its sharp one is drawn, or if it cannot be. */
    said(item: JobItem): string[] {
      if (wanted !== nameOf(item) || finished.has(wanted)) return [];
      if (follower.error) return [follower.error.message];
      return follower.running ? ['a sharper picture is being drawn'] : [];
    },
    /** Draw one picture; the function that ends it. */
    draw(item: JobItem): () => void {
      const name = nameOf(item);
      return untrack(() => {
        const of = asked;
        if (!source.live || !of || finished.has(name)) return () => undefined;
        wanted = name;
        const { snapshot, layer } = item;
        const targets = item.role === 'analogy' ? [{ snapshot, layers: [layer] }] : [];
        void follower.ask(
          { ...of, targets },
          {
            onReport: (job) => {
              const one = job.items.find((found) => nameOf(found) === name);
              if (!one?.image || one.step !== of.steps) return;
              // Its number follows a moment later, and the two belong together.
              if (one.stronger_than == null && job.state === 'running') return;
              void keep([one], of);
              follower.leave(); // the job's others are not looked at
            },
          },
        );
        return () => {
          wanted = null;
          follower.leave();
        };
      });
    },
  };
}

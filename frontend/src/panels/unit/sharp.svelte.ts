import { untrack } from 'svelte';
import { SvelteMap } from 'svelte/reactivity';
import type { AnalogiesRequest } from '../../api/generated';
import type { Source } from '../../api/source';
import type { Job, JobItem } from '../../api/types';
import { createFollower } from '../../state/jobs.svelte';

const nameOf = ({ snapshot, layer, role }: JobItem): string => [snapshot, layer, role].join('\n');

/**
 * Pictures as large as their layers need. Those of a row are quick and small. Once all are there,
 * they are drawn again in the background, and one that is looked at in large at once. A sharp picture
 * takes the place of the small one. The request is null where nothing can be drawn.
 */
export function createSharp(
  source: Source,
  request: () => AnalogiesRequest | null,
  small: () => readonly JobItem[],
) {
  const follower = createFollower(source);
  const background = createFollower(source);
  const finished = new SvelteMap<string, JobItem>();
  let wanted = $state.raw<string | null>(null);
  const asked = $derived.by((): AnalogiesRequest | null => {
    const of = request();
    return of && { ...of, size: 'auto' };
  });

  const isDone = (item: JobItem, of: AnalogiesRequest): boolean =>
    item.image !== null && item.step === of.steps;

  /** Of a running job. The number of a picture follows a moment later, and the two belong together. */
  const finishedOf = (job: Job, of: AnalogiesRequest): JobItem[] =>
    job.items.filter(
      (item) => isDone(item, of) && (item.stronger_than != null || job.status !== 'running'),
    );

  /** Keep what is finished, once the browser has it: nothing goes blank where it appears. */
  async function keep(items: readonly JobItem[], of: AnalogiesRequest): Promise<void> {
    const done = items.filter((item) => isDone(item, of));
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

  /** What is missing of a row, while nothing else is asked for. */
  async function drawAll(of: AnalogiesRequest, isStale: () => boolean): Promise<void> {
    const known = await source.known(of).catch((): JobItem[] => []);
    if (isStale() || (known.length && known.every((one) => one.problem ?? one.image))) return;
    await background.ask(of, {
      onReport: (job) => void keep(finishedOf(job, of), of),
      background: true,
    });
  }
  const ready = $derived.by((): boolean => {
    const [of, items] = [asked, small()];
    return of !== null && items.length > 0 && items.every((one) => one.problem || isDone(one, of));
  });
  $effect(() => {
    const of = JSON.parse(text) as AnalogiesRequest | null;
    if (!source.live || !of || !ready) return;
    let stale = false;
    untrack(() => void drawAll(of, () => stale));
    return () => {
      stale = true;
      background.leave();
    };
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
              const one = finishedOf(job, of).find((found) => nameOf(found) === name);
              if (!one) return;
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

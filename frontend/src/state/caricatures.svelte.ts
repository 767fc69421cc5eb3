import { SvelteMap } from 'svelte/reactivity';
import type { JobItem } from '../api/types';
import type { Session, Side } from './session.svelte';

/** Caricatures that are known of: what hovering shows. */
const made = new SvelteMap<string, { address: string; size: number }>();

function key(
  session: Pick<Session, 'snapshot'>,
  side: Side,
  layer: string,
  image: number | string,
): string {
  return [session.snapshot(side)?.digest, layer, image].join('\n');
}

/** Keep pictures of one size; larger ones stay when smaller ones come. */
export function remember(
  session: Pick<Session, 'snapshot' | 'source'>,
  side: Side,
  image: number | string,
  size: number,
  items: readonly JobItem[],
): void {
  for (const item of items) {
    if (!item.image) continue;
    const at = key(session, side, item.layer, image);
    const known = made.get(at);
    const address = session.source.picture(item.image);
    if (!known || (known.size <= size && known.address !== address)) {
      made.set(at, { address, size });
    }
  }
}

/** The chosen photo as a layer sees it, if that was drawn, or what came with a report. */
export function pictureOf(
  session: Pick<Session, 'snapshot' | 'view' | 'source'>,
  side: Side,
  layer: string,
): string | null {
  const { image } = session.view;
  const brought = session.source.caricature(session.snapshot(side)?.id ?? '', layer);
  if (brought) return brought;
  return image === null ? null : (made.get(key(session, side, layer, image))?.address ?? null);
}

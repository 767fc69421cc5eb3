import { SvelteMap } from 'svelte/reactivity';
import type { Selection, Session, Side } from './session.svelte';

/** Renders of single units that are known of. */
const made = new SvelteMap<string, string>();

interface Unit {
  side: Side;
  layer: string;
  unit: number;
}

function key(session: Pick<Session, 'snapshot'>, { side, layer, unit }: Unit): string {
  return [session.snapshot(side)?.digest, layer, unit].join('\n');
}

/** Keep the address of a unit's render. */
export function keepRender(session: Pick<Session, 'snapshot'>, of: Unit, address: string): void {
  if (made.get(key(session, of)) !== address) made.set(key(session, of), address);
}

/** Find out which units of a layer were rendered before the tab was opened. */
export async function recallRenders(
  session: Pick<Session, 'snapshot' | 'source'>,
  { side, layer }: Selection,
): Promise<void> {
  const snapshot = session.snapshot(side);
  if (!snapshot) return;
  const { units, images } = await session.source
    .read('unit_renders', { snapshot: snapshot.id, layer })
    // The crops stay; what is wrong with the layer is said where it is asked about.
    .catch(() => ({ units: [], images: [] }));
  units.forEach((unit, at) => {
    const of = [snapshot.digest, layer, unit].join('\n');
    if (!made.has(of)) made.set(of, session.source.picture(images[at]!));
  });
}

/** The address of a unit's render, if it was made. */
export function renderOf(session: Pick<Session, 'snapshot'>, of: Unit): string | null {
  return made.get(key(session, of)) ?? null;
}

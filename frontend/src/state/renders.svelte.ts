import { SvelteMap } from 'svelte/reactivity';
import type { Session, Side } from './session.svelte';

/** Renders of single units that were made since the tab was opened. */
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

/** The address of a unit's render, if it was made. */
export function renderOf(session: Pick<Session, 'snapshot'>, of: Unit): string | null {
  return made.get(key(session, of)) ?? null;
}

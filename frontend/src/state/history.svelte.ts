import { watchHash, writeHash } from '../host/hash';
import { OWNED_KEYS, writeView } from './address';
import type { Session } from './session.svelte';

const ADDRESS_MS = 150;

/** Keeps the address as the view is, and the view as the address is. */
export function followAddress(session: Pick<Session, 'data' | 'goTo' | 'view'>): void {
  $effect(() => watchHash((parameters) => session.goTo(parameters)));

  // A step of history for what a reader goes back to; the rest replaces the address.
  let lastStep = '';
  $effect(() => {
    const parameters = writeView(session.view);
    const { a, b, measure, side, layer, pair, unit, view: pane } = parameters;
    const step = [a, b, measure, side, layer, pair, unit, pane].join('\n');
    const first = lastStep === '' || !session.data.listing;
    const moved = !first && step !== lastStep;
    lastStep = step;
    if (moved) return writeHash(parameters, OWNED_KEYS, true);
    // Browsers refuse addresses that change in every frame, as they do under a slider.
    const timer = setTimeout(writeHash, ADDRESS_MS, parameters, OWNED_KEYS, false);
    return () => clearTimeout(timer);
  });
}

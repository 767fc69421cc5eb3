import type { PlacedBox } from '../../layout/place';
import { OTHER, type Selection, type Session } from '../../state/session.svelte';

const FEW = 3;

export interface Match {
  name: string;
  value: string;
  /** Of a progressive estimate. */
  interval: string | null;
}

/** The strongest matches of a layer, in words. */
export function strongestMatches(
  session: Pick<Session, 'estimatedInterval' | 'layerMatches' | 'short' | 'text' | 'textOf'>,
  layer: Selection,
): Match[] {
  const names = session.short(OTHER[layer.side]);
  return session
    .layerMatches(layer)
    .slice(0, FEW)
    .map((match) => {
      const interval = session.estimatedInterval(layer, match.layer);
      return {
        name: names.of(match.layer),
        value: session.text(match.value),
        interval: interval && session.textOf(interval),
      };
    });
}

/** What a screen reader says of a box, and of the layer that it speaks for. */
export function describeBox(
  session: Pick<Session, 'bestMatch' | 'text'>,
  box: PlacedBox,
  layer: Selection | null,
): string {
  const best = layer && session.bestMatch(layer);
  const match = best ? `, best match ${best.layer} at ${session.text(best.value)}` : '';
  return `${box.label}, ${box.op}${match}`;
}

import type { JobItem } from '../api/types';
import type { Drawing } from './drawing.svelte';
import { OTHER, type Selection, type Session, type Side } from './session.svelte';

/** The layers that are drawn in the other model, those most like the chosen one first. */
export function likeliest(
  session: Pick<Session, 'layerMatches'>,
  drawing: Pick<Drawing, 'layers'>,
  selection: Selection,
): string[] {
  const order = session.layerMatches(selection).map((match) => match.layer);
  const drawn = drawing.layers[OTHER[selection.side]];
  return [
    ...order.filter((layer) => drawn.includes(layer)),
    ...drawn.filter((layer) => !order.includes(layer)),
  ];
}

/** A picture of the chosen unit, or of its analogy in a layer, in one of the two drawn models. */
export interface OnGraph {
  side: Side;
  item: JobItem;
  /** Show it in large. */
  enlarge: () => void;
}

let onGraph = $state.raw<readonly OnGraph[]>([]);

/** The pictures that stand at their layers in the figure. */
export const picturesOnGraph = (): readonly OnGraph[] => onGraph;

export function showOnGraph(pictures: readonly OnGraph[]): void {
  onGraph = pictures;
}

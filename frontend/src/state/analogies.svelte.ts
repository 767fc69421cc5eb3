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

/**
 * The same order for as long as the models, the measure, the chosen layer and the drawn layers stay.
 * Exact values that take the place of an estimate change it a little, and pictures that are being
 * rendered in that order would begin anew.
 */
export function keptLikeliest(
  session: Pick<Session, 'layerMatches' | 'view'>,
  drawing: Pick<Drawing, 'layers'>,
): (selection: Selection) => string[] {
  let kept = { of: '', layers: [] as string[] };
  return (selection) => {
    const { a, b, measure } = session.view;
    const of = JSON.stringify([a, b, measure, selection, drawing.layers[OTHER[selection.side]]]);
    const layers = likeliest(session, drawing, selection);
    if (kept.of !== of && session.layerMatches(selection).length) kept = { of, layers };
    return kept.of === of ? kept.layers : layers;
  };
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

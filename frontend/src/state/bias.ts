import type { LayerGraph, MeasureInfo } from '../api/types';

/**
 * Of each layer, whether the measure says little of it: the layer has more units than the probe has
 * rows, and the measure declares that it is biased then.
 */
export function biasedLayers(
  layers: readonly string[],
  measure: Pick<MeasureInfo, 'wants_rows_over_units'> | null,
  graph: LayerGraph | null,
  rows: number | null,
): boolean[] {
  if (!measure?.wants_rows_over_units || rows === null) return layers.map(() => false);
  const units = new Map(graph?.nodes.map((node) => [node.name, node.units]));
  return layers.map((layer) => (units.get(layer) ?? 0) > rows);
}

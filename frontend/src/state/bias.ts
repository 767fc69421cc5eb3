import type { LayerGraph, MeasureInfo } from '../api/types';

/**
 * Of each layer, whether the measure says little of it: the probe has too few rows for its units, and
 * the measure declares that it is biased then. Null rows for each unit: no number of them is enough.
 */
export function biasedLayers(
  layers: readonly string[],
  measure: Pick<MeasureInfo, 'wants_rows_over_units' | 'rows_per_unit'> | null,
  graph: LayerGraph | null,
  rows: number | null,
): boolean[] {
  if (!measure?.wants_rows_over_units || rows === null) return layers.map(() => false);
  const units = new Map(graph?.nodes.map((node) => [node.name, node.units]));
  const enough = measure.rows_per_unit ?? Infinity;
  return layers.map((layer) => (units.get(layer) ?? 0) * enough > rows);
}

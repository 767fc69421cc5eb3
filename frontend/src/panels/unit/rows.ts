import type { JobItem, SnapshotInfo } from '../../api/types';
import type { ShortNames } from '../../layout/names';
import type { Side } from '../../state/session.svelte';

/** A model in which analogies are drawn. */
export interface Model {
  snapshot: SnapshotInfo;
  /** Null of one that is in neither row of the figure. */
  side: Side | null;
  layers: readonly string[];
  short: ShortNames;
}

export interface Row extends Model {
  items: readonly JobItem[];
}

export const ORDERS = { depth: 'in order of depth', number: 'by their number' };
export type Order = keyof typeof ORDERS;

/** How many models can stand beside the two that are compared. */
export const MOST_MORE = 4;

/**
 * The pictures of a job by model. The first model is the unit's own, whose picture comes first of
 * all; the others' follow in the order of `models`, those of the unit's own model last.
 */
export function rowsOf(models: readonly Model[], items: readonly JobItem[], order: Order): Row[] {
  const [own, ...others] = models;
  if (!own) return [];
  let at = 1;
  const next = (count: number): readonly JobItem[] => sorted(items.slice(at, (at += count)), order);
  const rows = others.map((model): Row => ({ ...model, items: next(model.layers.length) }));
  return [{ ...own, items: [...items.slice(0, 1), ...next(own.layers.length)] }, ...rows];
}

function sorted(items: readonly JobItem[], order: Order): readonly JobItem[] {
  if (order === 'depth') return items;
  const number = ({ drawn }: JobItem): number => drawn?.correlation ?? -Infinity;
  return items.toSorted((p, q) => number(q) - number(p));
}

/**
 * How many pictures stand side by side in a width, so that rows are equally long, or nearly, and none
 * is left alone in the last.
 */
export function columnsOf(count: number, width: number, size: number, gap: number): number {
  const most = Math.max(1, Math.floor((width + gap) / (size + gap)));
  return Math.max(1, Math.ceil(count / Math.max(1, Math.ceil(count / most))));
}

/** So many of some names, evenly from the first to the last. */
export function evenly(names: readonly string[], count: number): string[] {
  if (names.length <= count) return [...names];
  const step = (names.length - 1) / Math.max(1, count - 1);
  return Array.from({ length: count }, (_, k) => names[Math.round(k * step)]!);
}

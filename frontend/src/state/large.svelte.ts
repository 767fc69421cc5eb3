import type { Box } from '../api/types';

/** A picture that can be looked at in large. */
export interface Large {
  address: string;
  title: string;
  /** Its numbers; with a sentence on what they mean, where one is needed. */
  lines: readonly (string | readonly [text: string, sentence: string])[];
  /** What of it the layer sees, and where the unit is most active, as shares of it. */
  field?: Box | null;
  spot?: { u: number; v: number } | null;
  /** What can be done with it. */
  action?: { text: string; run: () => void };
  /** Which of the list it is, and what is to begin while it is looked at; returns what ends that. */
  key?: string;
  onshown?: () => () => void;
}

let pictures = $state.raw<(() => readonly Large[]) | null>(null);
let at = $state(0);

/** One picture in large, with its neighbours an arrow key away; they may grow in number. */
export function showLarge(list: () => readonly Large[], place: number): void {
  pictures = list;
  at = place;
}

export function closeLarge(): void {
  pictures = null;
}

/** What is shown in large now; null if nothing is. */
export function large(): { picture: Large; place: number; count: number } | null {
  const list = pictures?.() ?? [];
  const place = Math.min(at, list.length - 1);
  return list[place] ? { picture: list[place], place, count: list.length } : null;
}

/** The picture before or after, if there is one. */
export function turn(by: number): void {
  const shown = large();
  if (shown) at = Math.min(shown.count - 1, Math.max(0, shown.place + by));
}

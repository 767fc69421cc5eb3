import type { Component } from 'svelte';
import type { Drawing } from '../state/drawing.svelte';
import type { Session } from '../state/session.svelte';
import { SIDES } from '../state/address';
import { comparesTwo } from '../state/views';

/** What a panel is given. It names the part that it uses, and hands on to its parts values. */
export interface PanelProps {
  session: Session;
  drawing: Drawing;
}

/** What a panel says of itself: `export const panel` in the `<script module>` of its component. */
export interface Panel {
  title: string;
  shown: (session: Session, drawing: Drawing) => boolean;
  /** At the edge of the tab, instead of among the figures. */
  aside?: boolean;
  /** Over all figures, of which it says something. */
  over?: boolean;
  /** In a column of its own, where the window is wide enough for one more. */
  beside?: (session: Session) => boolean;
}

export type FoundPanel = Panel & { component: Component<PanelProps> };

export { comparesTwo };

/** Whether both snapshots are there. */
export function comparable(session: Pick<Session, 'snapshot'>): boolean {
  return SIDES.every((side) => session.snapshot(side) !== null);
}

/** Whether the graphs of both models are on the screen. */
export function drawsGraphs(
  session: Parameters<typeof comparesTwo>[0],
  drawing: Pick<Drawing, 'layouts'>,
): boolean {
  return comparesTwo(session) && session.view.pane !== 'matrix' && drawing.layouts !== null;
}

import type { Component } from 'svelte';
import type { View } from '../state/address';
import type { Drawing } from '../state/drawing.svelte';
import type { Session } from '../state/session.svelte';
import Alignment from './alignment/Alignment.svelte';
import ComparisonProgress from './alignment/ComparisonProgress.svelte';
import ComparisonWarnings from './alignment/ComparisonWarnings.svelte';
import Controls from './alignment/Controls.svelte';
import GraphsPane from './graphs/GraphsPane.svelte';
import Inspector from './layer/Inspector.svelte';
import Matrix from './matrix/Matrix.svelte';
import Models from './models/Models.svelte';
import Training from './training/Training.svelte';
import Analogies from './unit/Analogies.svelte';

/** What a panel is given. It hands on to its parts what they need. */
export interface PanelProps {
  session: Session;
  drawing: Drawing;
}

interface Panel {
  title: string;
  /** At the edge of the tab, or among the figures in the order of the list. */
  aside?: boolean;
  /** In a column of its own, where the window is wide enough for one more. */
  beside?: (session: Session) => boolean;
  shown: (session: Session, drawing: Drawing) => boolean;
  component: Component<PanelProps>;
}

/** What the reader chooses between; a report, which is not live, has the first ones only. */
export const VIEWS: readonly { name: View['pane']; title: string; live: boolean }[] = [
  { name: 'graph', title: 'Graph', live: false },
  { name: 'matrix', title: 'Matrix', live: false },
  { name: 'both', title: 'Both', live: false },
  { name: 'models', title: 'Models', live: true },
  { name: 'training', title: 'Training', live: true },
];

/** Whether two snapshots are compared, and not many. */
export function comparesTwo({ source, view }: Session): boolean {
  return !source.live || (view.pane !== 'models' && view.pane !== 'training');
}

function drawsGraphs(session: Session, drawing: Drawing): boolean {
  return comparesTwo(session) && session.view.pane !== 'matrix' && drawing.layouts !== null;
}

/** Every panel of the tab. A new one is a folder beside this file and an entry here. */
export const PANELS: readonly Panel[] = [
  { title: 'What is drawn', shown: comparesTwo, component: Controls },
  { title: 'Warnings', shown: comparesTwo, component: ComparisonWarnings },
  { title: 'Alignment graph', shown: drawsGraphs, component: Alignment },
  {
    title: 'Progress',
    // The alignment graph has it where the lines will be.
    shown: (session, drawing) => comparesTwo(session) && !drawsGraphs(session, drawing),
    component: ComparisonProgress,
  },
  {
    title: 'Matrix',
    shown: (session) =>
      comparesTwo(session) && session.view.pane !== 'graph' && session.shown !== null,
    beside: (session) => session.view.pane === 'both',
    component: Matrix,
  },
  {
    title: 'Analogies',
    shown: (session) =>
      comparesTwo(session) &&
      session.source.live &&
      session.view.selection !== null &&
      session.view.unit !== null &&
      session.table !== null,
    component: Analogies,
  },
  {
    title: "TensorBoard's own graph",
    shown: (session) => comparesTwo(session) && session.source.live && session.view.graphs !== null,
    beside: () => true,
    component: GraphsPane,
  },
  {
    title: 'Models',
    shown: ({ source, view }) => source.live && view.pane === 'models',
    component: Models,
  },
  {
    title: 'Training',
    shown: ({ source, view }) => source.live && view.pane === 'training',
    component: Training,
  },
  { title: 'Inspector', aside: true, shown: comparesTwo, component: Inspector },
];

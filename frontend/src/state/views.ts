import type { View } from './address';

/** What the reader chooses between; a report, which is not live, has the first ones only. */
export const VIEWS: readonly { name: View['pane']; title: string; live: boolean }[] = [
  { name: 'graph', title: 'Graph', live: false },
  { name: 'matrix', title: 'Matrix', live: false },
  { name: 'both', title: 'Both', live: false },
  { name: 'models', title: 'Models', live: true },
  { name: 'training', title: 'Training', live: true },
];

/** Whether two snapshots are compared, and not many. */
export function comparesTwo(session: {
  source: { live: boolean };
  view: Pick<View, 'pane'>;
}): boolean {
  const { pane } = session.view;
  return !session.source.live || (pane !== 'models' && pane !== 'training');
}

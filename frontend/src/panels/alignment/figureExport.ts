import type { Pairs } from '../../align/select';
import { figureSvg, type Figure } from '../../draw/figure';
import type { Scene } from '../../draw/lines';
import { colour } from '../../host/theme';
import type { PlacedBox } from '../../layout/place';
import type { Session, Side } from '../../state/session.svelte';

/** The alignment graph as a document of its own, with all that is to be known of its lines. */
export function exportedFigure(
  session: Pick<Session, 'exact' | 'snapshot' | 'title' | 'view' | 'warnings'>,
  figure: Figure,
  scene: Scene,
  lines: Pairs,
  notes: readonly string[],
  isBiased: (side: Side, box: PlacedBox) => boolean,
): string {
  const title = (side: Side): string => `${side.toUpperCase()}: ${session.view[side]}`;
  const rows = session.snapshot('a')?.rows ?? 0;
  const caption =
    `${session.title}, between layers over ${rows.toLocaleString('en')} rows of one probe` +
    (session.exact ? '; ' : ' (a progressive estimate from part of them); ') +
    `${notes.join('; ')}.`;
  const titles = { a: title('a'), b: title('b') };
  return figureSvg(figure, scene, lines, titles, [caption, ...session.warnings], colour, isBiased);
}

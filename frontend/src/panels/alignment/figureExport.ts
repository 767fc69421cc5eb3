import { NO_TABLE } from '../../align/matrix';
import { anchors } from '../../draw/anchors';
import { composeFigure, figureSvg } from '../../draw/figure';
import { ALL, asSentence } from '../../draw/hatch';
import { matrixSvg } from '../../draw/heatSvg';
import { unitsOf, type Paper } from '../../draw/paper';
import { paperColour } from '../../host/theme';
import type { Layout } from '../../layout/place';
import { markOf } from '../../state/doubt';
import { filterInWords, keptPart } from '../../state/filter';
import { SIDES, type Session, type Side } from '../../state/session.svelte';
import type { createBoxLines } from './boxLines.svelte';

/** Room between the models, as a share of the width of the paper, within bounds. */
const [GAP, LEAST_GAP, MOST_GAP] = [0.4, 110, 300];
const MARGINS = 48;

/** As wide a drawing as fits on the paper, in its units. */
export function roomOn({ mm }: Paper): number {
  return unitsOf(mm) - MARGINS;
}

/** What the numbers are, over what, and whether they are exact: the beginning of a caption. */
export function captionOf(session: Pick<Session, 'exact' | 'snapshot' | 'title'>): string {
  const about = session.snapshot('a');
  const images = (about?.images ?? 0).toLocaleString('en');
  const rows = (about?.rows ?? 0).toLocaleString('en');
  const estimate = session.exact ? '' : ', a progressive estimate from part of them';
  const items = about?.of_images === false ? 'items' : 'images';
  return `${session.title} between layers, over ${images} ${items} (${rows} rows) of one probe${estimate}`;
}

/** What is to be said of all pairs of layers, as sentences: which are left out, and a doubt. */
export function saidOfAll(
  session: Pick<Session, 'data' | 'doubts' | 'layerNames' | 'view'>,
): string[] {
  const [filter, doubt] = [filterInWords(session), session.doubts.all];
  return [
    ...(filter === null ? [] : [asSentence(filter)]),
    ...(doubt === null ? [] : [asSentence(ALL[doubt])]),
  ];
}

/** The alignment graph as a document of its own, with all that is to be known of its lines. */
export function exportedFigure(
  session: Pick<Session, 'exact' | 'snapshot' | 'title' | 'view' | 'warnings'>,
  layouts: Record<Side, Layout>,
  drawn: ReturnType<typeof createBoxLines>,
  paper: Paper,
  said: readonly string[],
): string {
  const between = Math.min(MOST_GAP, Math.max(LEAST_GAP, GAP * unitsOf(paper.mm)));
  const figure = composeFigure(layouts, between);
  const title = (side: Side): string => `${side.toUpperCase()}: ${session.view[side]}`;
  const scene = {
    table: drawn.table ?? NO_TABLE,
    rows: anchors(figure, 'a', drawn.boxes.a),
    columns: anchors(figure, 'b', drawn.boxes.b),
    gap: figure.gap,
    encoding: drawn.encoding,
    dashed: drawn.isAsNull,
  };
  const first = `${captionOf(session)}; ${drawn.notes.join('; ')}.`;
  const captions = [first, ...said, ...session.warnings];
  const titles = { a: title('a'), b: title('b') };
  return figureSvg(figure, scene, drawn.lines, titles, captions, paperColour, drawn, paper);
}

/** The matrix as it is on the screen, without what the filter leaves out. */
export function exportedMatrix(session: Session, paper: Paper, said: readonly string[]): string {
  const { rows, columns, kept, table } = keptPart(session);
  const names = { a: session.short('a'), b: session.short('b') };
  return matrixSvg(
    {
      matrix: {
        rows: rows.map(names.a.of),
        columns: columns.map(names.b.of),
        warnings: [...session.warnings],
      },
      table,
      encoding: session.encoding(table),
      title: session.title,
      models: { a: session.view.a ?? '', b: session.view.b ?? '' },
      doubt: (row, column) => markOf(session.doubts, kept.a[row]!, kept.b[column]!),
      caption: [
        `${captionOf(session)}.`,
        ...saidOfAll(session),
        ...said,
        ...SIDES.flatMap((side) => names[side].said(side.toUpperCase()) ?? []),
      ],
      paper,
    },
    paperColour,
  );
}

import { choose, indicesOf, NO_TABLE, withoutIdentity, type Table } from '../../align/matrix';
import { candidates, reaching } from '../../align/select';
import type { Encoding } from '../../draw/encode';
import type { Side } from '../../draw/figure';
import { ALL, DASHED, HATCH, type Doubt } from '../../draw/hatch';
import { MOST_LINES } from '../../draw/lines';
import type { Layout, PlacedBox } from '../../layout/place';
import { markOf, markOfLayer } from '../../state/doubt';
import { filterInWords, keptNames } from '../../state/filter';
import { SIDES } from '../../state/address';
import type { Session } from '../../state/session.svelte';

export const NO_PAIRS = new Uint32Array();

/** The boxes of both models that stand for layers, and the lines that the chosen rule draws. */
export function createBoxLines(
  session: Pick<
    Session,
    | 'data'
    | 'doubts'
    | 'encoding'
    | 'layerNames'
    | 'scale'
    | 'shown'
    | 'table'
    | 'threshold'
    | 'view'
  >,
  layouts: () => Record<Side, Layout>,
) {
  const boxes = $derived({
    a: layouts().a.boxes.filter((box) => box.layers.length > 0),
    b: layouts().b.boxes.filter((box) => box.layers.length > 0),
  });

  const kept = $derived({ a: keptNames(session, 'a'), b: keptNames(session, 'b') });
  const isKept = (side: Side, layer: string): boolean =>
    !session.view.filter || kept[side].includes(layer);
  /** A box speaks for its last layer that passes the filter, or for the one chosen in it. */
  function speaker(side: Side, box: PlacedBox): string {
    const chosen = session.view.selection;
    if (chosen?.side === side && box.layers.includes(chosen.layer)) return chosen.layer;
    return box.layers.findLast((layer) => isKept(side, layer)) ?? box.layers.at(-1)!;
  }
  /** Whether the filter leaves a box out. */
  const leftOut = (side: Side, box: PlacedBox): boolean =>
    box.layers.length > 0 && !isKept(side, speaker(side, box));
  // Text, so that a choice which changes no speaker does not count as a change.
  const speakersOfA = $derived(JSON.stringify(boxes.a.map((box) => speaker('a', box))));
  const speakersOfB = $derived(JSON.stringify(boxes.b.map((box) => speaker('b', box))));
  const indices = $derived({
    a: keptIndices('a', JSON.parse(speakersOfA) as string[]),
    b: keptIndices('b', JSON.parse(speakersOfB) as string[]),
  });
  /** Layers that the filter leaves out have no lines, as if they had no value. */
  function keptIndices(side: Side, layers: readonly string[]): number[] {
    return indicesOf(session.layerNames(side), layers).map((index, at) =>
      isKept(side, layers[at]!) ? index : -1,
    );
  }
  const itself = $derived(session.view.a === session.view.b);
  /** The part of a table that is between boxes. */
  function drawnPart(whole: Table): Table {
    const chosen = choose(whole, indices.a, indices.b);
    return itself ? withoutIdentity(chosen, indices.a, indices.b) : chosen;
  }
  const table = $derived(session.shown ? drawnPart(session.shown) : null);
  /** Ranks change how thick lines are, not which pairs of layers a rule joins. */
  const ruled = $derived(
    session.table && session.scale === 'rank' ? drawnPart(session.table) : table,
  );
  const pairs = $derived(ruled ? candidates(ruled, session.view.rule, session.view.top) : NO_PAIRS);
  const many = $derived(Math.min(pairs.length, MOST_LINES));
  const encoding = $derived<Encoding>({ ...session.encoding(table ?? NO_TABLE), many });
  const total = $derived(reaching(table ?? NO_TABLE, pairs, session.threshold));
  // A number first: as long as it stays, so do the lines.
  const few = $derived(Math.min(total, MOST_LINES));
  const lines = $derived(pairs.subarray(pairs.length - few));
  const count = $derived(
    few === total
      ? `${total.toLocaleString('en')} ${total === 1 ? 'line' : 'lines'}`
      : `the strongest ${few.toLocaleString('en')} of ${total.toLocaleString('en')} lines`,
  );

  /** Why the measure cannot tell what a box is like; null where it can. */
  function doubtOfBox(side: Side, box: PlacedBox): Doubt | null {
    if (box.layers.length === 0) return null;
    const index = session.layerNames(side).indexOf(speaker(side, box));
    return index < 0 ? null : markOfLayer(session.doubts, side, index);
  }
  const doubted = $derived(
    SIDES.flatMap((side) => boxes[side].map((box) => doubtOfBox(side, box))),
  );
  /** Whether the line of a pair of boxes is no more than the null gives. */
  function isAsNull(pair: number): boolean {
    const row = indices.a[Math.floor(pair / boxes.b.length)]!;
    const column = indices.b[pair % boxes.b.length]!;
    return row >= 0 && column >= 0 && markOf(session.doubts, row, column) === 'null';
  }
  const filter = $derived(filterInWords(session));
  const counted = $derived([
    count,
    ...(itself ? ['none from a layer to itself'] : []),
    ...(encoding.open ? ['none at the null or below'] : []),
    ...(filter === null ? [] : [filter]),
    ...(SIDES.some((side) => layouts()[side].boxes.some((box) => box.outline === 'block'))
      ? ['a folded block by its last layer']
      : []),
  ]);
  const notes = $derived([
    ...counted,
    ...(session.doubts.all === null ? [] : [ALL[session.doubts.all]]),
    ...(doubted.includes('rows') ? [HATCH.rows] : []),
    ...(doubted.includes('null') ? [HATCH.null] : []),
    ...(session.doubts.pValues && lines.some(isAsNull) ? [DASHED] : []),
  ]);

  return {
    speaker,
    doubtOfBox,
    isAsNull,
    /** How many lines there are, and what is left out. */
    get counted() {
      return counted;
    },
    /** The same with all that is to be known of lines and boxes, for a caption. */
    get notes() {
      return notes;
    },
    leftOut,
    get boxes() {
      return boxes;
    },
    /** The values between boxes in the chosen scale; null until there are some. */
    get table() {
      return table;
    },
    get encoding() {
      return encoding;
    },
    /** What is drawn, as indices into the table. */
    get lines() {
      return lines;
    },
  };
}

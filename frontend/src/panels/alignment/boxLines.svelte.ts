import { choose, indicesOf, NO_TABLE, withoutIdentity, type Table } from '../../align/matrix';
import { candidates, reaching } from '../../align/select';
import type { Side } from '../../draw/figure';
import { MOST_LINES } from '../../draw/lines';
import type { Layout, PlacedBox } from '../../layout/place';
import type { Session } from '../../state/session.svelte';

export const NO_PAIRS = new Uint32Array();

/** The boxes of both models that stand for layers, and the lines that the chosen rule draws. */
export function createBoxLines(
  session: Pick<
    Session,
    'encoding' | 'layerNames' | 'scale' | 'shown' | 'table' | 'threshold' | 'view'
  >,
  layouts: () => Record<Side, Layout>,
) {
  const boxes = $derived({
    a: layouts().a.boxes.filter((box) => box.layers.length > 0),
    b: layouts().b.boxes.filter((box) => box.layers.length > 0),
  });

  /** A box speaks for its last layer, or for the layer that was chosen in it. */
  function speaker(side: Side, box: PlacedBox): string {
    const chosen = session.view.selection;
    return chosen?.side === side && box.layers.includes(chosen.layer)
      ? chosen.layer
      : box.layers.at(-1)!;
  }
  // Text, so that a choice which changes no speaker does not count as a change.
  const speakersOfA = $derived(JSON.stringify(boxes.a.map((box) => speaker('a', box))));
  const speakersOfB = $derived(JSON.stringify(boxes.b.map((box) => speaker('b', box))));
  const indices = $derived({
    a: indicesOf(session.layerNames('a'), JSON.parse(speakersOfA) as string[]),
    b: indicesOf(session.layerNames('b'), JSON.parse(speakersOfB) as string[]),
  });
  const itself = $derived(session.view.a === session.view.b);
  /** The part of a table that is between boxes. */
  function drawnPart(whole: Table): Table {
    const chosen = choose(whole, indices.a, indices.b);
    return itself ? withoutIdentity(chosen, indices.a, indices.b) : chosen;
  }
  const table = $derived(session.shown ? drawnPart(session.shown) : null);
  const encoding = $derived(session.encoding(table ?? NO_TABLE));
  /** Ranks change how thick lines are, not which pairs of layers a rule joins. */
  const ruled = $derived(
    session.table && session.scale === 'rank' ? drawnPart(session.table) : table,
  );
  const pairs = $derived(ruled ? candidates(ruled, session.view.rule, session.view.top) : NO_PAIRS);
  const total = $derived(reaching(table ?? NO_TABLE, pairs, session.threshold));
  // A number first: as long as it stays, so do the lines.
  const few = $derived(Math.min(total, MOST_LINES));
  const lines = $derived(pairs.subarray(pairs.length - few));
  const count = $derived(
    few === total
      ? `${total.toLocaleString('en')} ${total === 1 ? 'line' : 'lines'}`
      : `the strongest ${few.toLocaleString('en')} of ${total.toLocaleString('en')} lines`,
  );

  return {
    speaker,
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
    /** How many lines there are, in words. */
    get count() {
      return count;
    },
    /** Whether a model is compared with itself. */
    get itself() {
      return itself;
    },
  };
}

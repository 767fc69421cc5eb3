import { choose, indicesOf, type Table } from '../align/matrix';
import { SIDES } from './address';
import type { Session, Side } from './session.svelte';

/** What a filter looks at. */
export interface Named {
  name: string;
  /** What sort of operation it is, in a word and as the framework calls it. */
  kind: string;
  op: string;
}

/** Whether a layer of this model passes; null where nothing is asked of this model. */
type Test = (layer: Named) => boolean;

const KIND = /^(?:kind|tag):/i;
const MODEL = /^([ab]):(.*)$/i;

/** A regular expression where it is one, else just these letters. */
function letters(text: string): RegExp {
  try {
    return new RegExp(text, 'i');
  } catch {
    return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
  }
}

/** One word: part of a name, or of a kind after `kind:`; a minus before it means the opposite. */
function test(word: string): Test {
  const opposite = word.startsWith('-') && word.length > 1;
  const rest = opposite ? word.slice(1) : word;
  const ofKind = KIND.test(rest);
  const wanted = letters(rest.replace(KIND, ''));
  return ({ name, kind, op }) =>
    (ofKind ? wanted.test(kind) || wanted.test(op) : wanted.test(name)) !== opposite;
}

/**
 * The layers of a model that pass a filter: words that all have to hold, where `a:` or `b:` before a
 * word asks one model only. A model in which nothing passes stays whole.
 */
export function passing<T extends Named>(text: string, side: Side, layers: readonly T[]): T[] {
  const tests = text
    .split(/\s+/)
    .flatMap((word) => {
      const [, model, rest] = MODEL.exec(word) ?? [];
      return model && model.toLowerCase() !== side ? [] : [rest ?? word];
    })
    .filter((word) => word !== '')
    .map(test);
  const passed = layers.filter((layer) => tests.every((one) => one(layer)));
  return passed.length ? passed : [...layers];
}

/** Of each compared layer of a model, its name and kind. */
export function namedLayers(session: Pick<Session, 'data' | 'layerNames'>, side: Side): Named[] {
  const nodes = new Map(session.data.graphs[side]?.nodes.map((node) => [node.name, node]));
  return session.layerNames(side).map((name) => {
    const node = nodes.get(name);
    return { name, kind: node?.kind ?? '', op: node?.op ?? '' };
  });
}

/** The names of a model's layers that pass the filter of the view. */
export function keptNames(
  session: Pick<Session, 'data' | 'layerNames' | 'view'>,
  side: Side,
): string[] {
  const { filter } = session.view;
  if (!filter) return session.layerNames(side);
  return passing(filter, side, namedLayers(session, side)).map(({ name }) => name);
}

/** What the filter of the view leaves of the shown table: its layers, and where they stand among all. */
export function keptPart(session: Pick<Session, 'data' | 'layerNames' | 'shown' | 'view'>): {
  rows: string[];
  columns: string[];
  kept: Record<Side, number[]>;
  table: Table;
} {
  const [rows, columns] = [keptNames(session, 'a'), keptNames(session, 'b')];
  const kept = {
    a: indicesOf(session.layerNames('a'), rows),
    b: indicesOf(session.layerNames('b'), columns),
  };
  return { rows, columns, kept, table: choose(session.shown!, kept.a, kept.b) };
}

/** The filter in words, and which model stays whole as nothing in it passes; null without one. */
export function filterInWords(
  session: Pick<Session, 'data' | 'layerNames' | 'view'>,
): string | null {
  const { filter } = session.view;
  if (!filter) return null;
  const isWhole = (side: Side): boolean =>
    keptNames(session, side).length === session.layerNames(side).length;
  const whole = SIDES.filter(isWhole);
  return `filter: ${filter}${whole.length === 1 ? `, all of ${whole[0]!.toUpperCase()}` : ''}`;
}

/** What a search found: a layer, or one of its units. */
export interface Found {
  side: Side;
  layer: string;
  unit: number | null;
}

const UNIT = /^(.*\S)[\s:#]+(\d+)$/;

/**
 * Layers of both models that a search names, and units: a layer's name and then a number. At most
 * `most` of them, those of the two models in turn.
 */
export function find(
  text: string,
  layers: Record<Side, readonly (Named & { units: number | null })[]>,
  most: number,
): Found[] {
  const [, before, number] = UNIT.exec(text.trim()) ?? [];
  const search = (words: string, unit: number | null): Found[][] =>
    (['a', 'b'] as const).map((side) => {
      const passed = passing(words, side, layers[side]);
      if (passed.length === layers[side].length) return [];
      return passed
        .filter(({ units }) => unit === null || (units !== null && unit < units))
        .map(({ name }) => ({ side, layer: name, unit }));
    });
  if (text.trim() === '') return [];
  const units = before !== undefined && number !== undefined ? search(before, Number(number)) : [];
  return [...inTurn(units), ...inTurn(search(text, null))].slice(0, most);
}

function inTurn<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, at) => lists.flatMap((list) => list[at] ?? [])).flat();
}

import { untrack } from 'svelte';

/** A list or a figure in sight that can be exported, beside the graph and the matrix. */
export interface Offer {
  /** What the reader chooses it by. */
  what: string;
  /** Of the files, without an ending. */
  name: string;
  caption: string;
  /** The SVG document, where it can be drawn. */
  draw: (() => string | Promise<string>) | null;
  csv: (() => string) | null;
  json: (() => string) | null;
}

let offers = $state.raw<readonly (() => Offer | null)[]>([]);

/** Offer it as long as the component is there; null while there is nothing of it. */
export function offerExport(one: () => Offer | null): void {
  $effect(() => {
    offers = [...untrack(() => offers), one];
    return () => (offers = offers.filter((other) => other !== one));
  });
}

export const offeredExports = (): Offer[] => offers.flatMap((one) => one() ?? []);

let sentences = $state.raw<readonly (() => string | null)[]>([]);

/** Say it in captions of graph and matrix as long as the component is there; null for nothing. */
export function sayInCaptions(one: () => string | null): void {
  $effect(() => {
    sentences = [...untrack(() => sentences), one];
    return () => (sentences = sentences.filter((other) => other !== one));
  });
}

export const saidInCaptions = (): string[] => sentences.flatMap((one) => one() ?? []);

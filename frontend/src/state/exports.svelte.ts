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

/** What components that are there say, in the order in which they came. */
function createCollection<Said>() {
  let said = $state.raw<readonly { by: object; value: Said | null }[]>([]);
  return {
    /** Null while there is nothing to say. */
    add(one: () => Said | null): void {
      const by = {};
      // In an effect of the component: what it reads may be gone while the component goes away.
      $effect(() => {
        const value = one();
        const before = untrack(() => said);
        const added = before.some((other) => other.by === by) ? before : [...before, { by, value }];
        said = added.map((other) => (other.by === by ? { by, value } : other));
      });
      $effect(() => () => {
        said = untrack(() => said).filter((other) => other.by !== by);
      });
    },
    get all(): Said[] {
      return said.flatMap(({ value }) => value ?? []);
    },
  };
}

const offers = createCollection<Offer>();
/** Offer it as long as the component is there; null while there is nothing of it. */
export const offerExport = offers.add;
export const offeredExports = (): Offer[] => offers.all;

const sentences = createCollection<string>();
/** Say it in captions of graph and matrix as long as the component is there; null for nothing. */
export const sayInCaptions = sentences.add;
export const saidInCaptions = (): string[] => sentences.all;

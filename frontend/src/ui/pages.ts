import { getContext, setContext } from 'svelte';

/** Where the documentation explains each part of the tab, and what that part is called. */
export const PAGES = {
  figure: ['the graph', 'how-to/compare_in_the_tab.html#read-the-figure'],
  lines: ['what is drawn', 'how-to/compare_in_the_tab.html#choose-which-lines-are-drawn'],
  matrix: ['the matrix', 'how-to/compare_in_the_tab.html#look-at-a-pair-of-layers'],
  standsOut: ['what stands out', 'how-to/compare_in_the_tab.html#what-stands-out'],
  measure: ['measures', 'explanation/measures.html'],
  layer: ['a layer', 'how-to/compare_in_the_tab.html#look-at-one-layer'],
  pair: ['a pair of layers', 'how-to/compare_in_the_tab.html#look-at-a-pair-of-layers'],
  unit: ['a unit', 'how-to/render_analogies.html#in-the-tab'],
  analogies: ['analogies', 'explanation/renders.html'],
  photo: ['a photo through both models', 'how-to/compare_in_the_tab.html#look-at-one-layer'],
  graphs: [
    'TensorBoard’s graph',
    'how-to/compare_in_the_tab.html#follow-a-run-and-use-other-windows',
  ],
  training: ['training', 'how-to/follow_a_training.html#read-the-training-view'],
  models: ['the map of models', 'how-to/follow_a_training.html#read-the-models-view'],
  export: ['exports', 'how-to/compare_in_the_tab.html#share-and-export'],
} as const;

export type Page = keyof typeof PAGES;

const SERVED = Symbol('whether pages are served');

/** Say for all components below whether a server has the pages: a report comes alone. */
export const servePages = (served: boolean): boolean => setContext(SERVED, served);
export const pagesAreServed = (): boolean => getContext<boolean | undefined>(SERVED) ?? false;

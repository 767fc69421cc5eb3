import type { Component } from 'svelte';
import type { FoundPanel, Panel, PanelProps } from './panel';

/** From top to bottom; a panel that is not named here comes last. */
const ORDER = [
  'What is drawn',
  'Warnings',
  'Alignment graph',
  'Matrix',
  'Analogies',
  "TensorBoard's own graph",
  'Models',
  'Training',
  'Progress',
];

interface Module {
  default: Component<PanelProps>;
  panel?: Panel;
}

/** Every component in a folder beside this file that exports what it says of itself as `panel`. */
const MODULES = import.meta.glob<Module>('./*/*.svelte', { eager: true });

const position = ({ title }: Panel): number => ORDER.indexOf(title) + 1 || ORDER.length + 1;

export const PANELS: readonly FoundPanel[] = Object.values(MODULES)
  .flatMap(({ default: component, panel }) => (panel ? [{ ...panel, component }] : []))
  .sort((p, q) => position(p) - position(q) || p.title.localeCompare(q.title));

/**
 * TensorBoard's own graph dashboard in a frame of ours. Everything that depends on how that
 * dashboard is built (TensorBoard 2.21, Polymer elements, no public interface) is in this file,
 * and each part is looked for before it is used.
 */

interface Polymer extends HTMLElement {
  set(property: string, value: unknown): void;
}

interface Controls extends Polymer {
  datasets?: { name: string; tags: { tag: string; conceptualGraph: boolean }[] }[];
}

interface Scene extends HTMLElement {
  renderHierarchy?: { getRenderNodeByName(name: string): unknown };
}

export interface GraphsPane {
  /** False where TensorBoard has no graph of that model. */
  show(run: string, name: string): boolean;
  highlight(node: string | null): void;
  /** The dashboard has a theme of its own, which it reads only when it loads. */
  dim(dark: boolean): void;
}

/** Where TensorBoard is, seen from the frame of a plugin. */
export const GRAPHS_ADDRESS = '../../../#graphs';

const PATIENCE_MS = 30_000;
const PAUSE_MS = 150;
const CONCEPTUAL = 'conceptual_graph';

function isPolymer(element: Element | null | undefined): element is Polymer {
  return typeof (element as Partial<Polymer> | null | undefined)?.set === 'function';
}

function hide(root: Document | ShadowRoot, selector: string): void {
  const style = document.createElement('style');
  style.textContent = `${selector} { display: none !important; }`;
  // Not `instanceof`: the frame has classes of its own.
  ('head' in root ? root.head : root).append(style);
}

/**
 * Wait until the dashboard in `frame` is there and take hold of it. `onSelect` hears of nodes
 * that the reader chooses in it.
 *
 * @throws Error if this TensorBoard is built otherwise, in words for the reader.
 */
export async function openGraphs(
  frame: HTMLIFrameElement,
  onSelect: (node: string) => void,
  signal: AbortSignal,
): Promise<GraphsPane> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!signal.aborted && performance.now() < deadline) {
    const pane = take(frame, onSelect);
    if (pane) return pane;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(
    "TensorBoard's graph dashboard is not where version 2.21 has it, so it cannot be shown here. " +
      'The Graphs tab shows the same model.',
  );
}

function take(frame: HTMLIFrameElement, onSelect: (node: string) => void): GraphsPane | null {
  const page = frame.contentDocument;
  const dashboard = page?.querySelector('tf-graph-dashboard');
  const inner = dashboard?.shadowRoot;
  const controls = inner?.querySelector<Controls>('tf-graph-controls');
  const board = inner?.querySelector('tf-graph-board');
  if (!page || !inner || !board || !isPolymer(dashboard) || !isPolymer(controls)) return null;
  if (!controls.datasets?.length) return null;

  hide(page, 'app-header');
  const layout = inner.querySelector('tf-dashboard-layout')?.shadowRoot;
  if (layout) hide(layout, '#sidebar');

  let ours: string | null = null;
  let attempt: ReturnType<typeof setTimeout> | undefined;
  /** The scene fails on a node that it has not drawn yet: it is asked first. */
  const drawn = (node: string): boolean => {
    const graph = board.shadowRoot?.querySelector('tf-graph');
    const scene = graph?.shadowRoot?.querySelector<Scene>('tf-graph-scene');
    return Boolean(scene?.renderHierarchy?.getRenderNodeByName(node));
  };
  const point = (node: string, until: number): void => {
    if (drawn(node)) dashboard.set('_selectedNode', node);
    else if (performance.now() < until) attempt = setTimeout(point, PAUSE_MS, node, until);
  };
  board.addEventListener('node-select', (event) => {
    const name = (event as CustomEvent<{ name?: string } | null>).detail?.name;
    if (name && name !== ours) onSelect(name);
  });
  return {
    show(run, name) {
      const datasets = controls.datasets ?? [];
      const at = datasets.findIndex((dataset) => dataset.name === run);
      const tags = datasets[at]?.tags ?? [];
      const tag = tags.findIndex((one) => one.tag === `graph of ${name}`);
      if (tag < 0) return false;
      controls.set('_selectedRunIndex', at);
      controls.set('_selectedTagIndex', tag);
      controls.set('_selectedGraphType', CONCEPTUAL);
      return true;
    },
    dim(dark) {
      page.body.classList.toggle('dark-mode', dark);
    },
    highlight(node) {
      clearTimeout(attempt);
      ours = node;
      if (node === null) dashboard.set('_selectedNode', null);
      else point(node, performance.now() + PATIENCE_MS);
    },
  };
}

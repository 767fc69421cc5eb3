/**
 * TensorBoard's own graph dashboard in a frame of ours. Everything that depends on how that
 * dashboard is built (TensorBoard 2.21, Polymer elements, no public interface) is in this file,
 * and each part is looked for before it is used.
 */

interface Polymer extends HTMLElement {
  set(property: string, value: unknown): void;
}

interface Dashboard extends Polymer {
  _selectedNode?: string | null;
  _datasetsFetched: boolean;
  _initialized: boolean;
  _maybeInitializeDashboard(): void;
}

interface Controls extends Polymer {
  datasets?: { name: string; tags: { tag: string; conceptualGraph: boolean }[] }[];
}

interface Chosen {
  run: string;
  tag: string;
}

/** Fetches graphs. What it was asked for first may come last, and is what it draws then. */
interface Loader extends Polymer {
  /** What is drawn. */
  _graphRunTag?: Chosen;
  progress?: { value: number; error?: boolean } | null;
}

interface Scene extends HTMLElement {
  renderHierarchy?: { getRenderNodeByName(name: string): unknown };
  minimap?: { zoom?(transform: ZoomTransform): void };
}

/** Of d3-zoom, which keeps it on the element. */
interface ZoomTransform {
  k: number;
  invert(point: [number, number]): [number, number];
  constructor: new (k: number, x: number, y: number) => ZoomTransform;
}

export interface GraphsPane {
  /** False where TensorBoard has no graph of that model yet; it is asked for its list again then. */
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

function isDashboard(element: Element | null | undefined): element is Dashboard {
  return (
    isPolymer(element) &&
    typeof (element as Partial<Dashboard>)._maybeInitializeDashboard === 'function'
  );
}

function isPolymer(element: Element | null | undefined): element is Polymer {
  return typeof (element as Partial<Polymer> | null | undefined)?.set === 'function';
}

// The dashboard shows a graph as a whole, in which no name can be read.
const READABLE = 1.7;
// The dashboard moves a graph about and forgets the chosen node some time after it drew it.
const SETTLED_MS = 8000;
// What it says of the chosen node lies over its right side.
const CARD = 320;

/** Bring a node into sight, as large as it can be read; where the graph is then. */
function approach(scene: Scene, name: string): ZoomTransform | null {
  const svg = scene.shadowRoot?.querySelector<SVGSVGElement & { __zoom?: ZoomTransform }>('svg');
  const root = svg?.querySelector('#root');
  const node = svg?.querySelector(`.node[data-name="${CSS.escape(name)}"]`);
  if (!svg?.__zoom || !root || !node) return null;
  const now = svg.__zoom;
  const [frame, box] = [svg.getBoundingClientRect(), node.getBoundingClientRect()];
  const [x, y] = now.invert([
    box.left + box.width / 2 - frame.left,
    box.top + box.height / 2 - frame.top,
  ]);
  const k = Math.max(now.k, READABLE);
  // Beside the card, or else beneath it.
  const wide = frame.width > 2 * CARD;
  const middle = {
    x: (frame.width - (wide ? CARD : 0)) / 2,
    y: frame.height * (wide ? 0.5 : 0.62),
  };
  const next = new now.constructor(k, middle.x - k * x, middle.y - k * y);
  svg.__zoom = next;
  root.setAttribute('transform', String(next));
  scene.minimap?.zoom?.(next);
  return next;
}

/** Where the graph is now. */
function transformOf(scene: Scene): ZoomTransform | null {
  const svg = scene.shadowRoot?.querySelector<SVGSVGElement & { __zoom?: ZoomTransform }>('svg');
  return svg?.__zoom ?? null;
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
  const loader = inner?.querySelector<Loader>('tf-graph-dashboard-loader');
  if (!page || !inner || !board || !isDashboard(dashboard) || !isPolymer(controls)) return null;
  if (!isPolymer(loader) || !dashboard._datasetsFetched) return null;

  hide(page, 'app-header');
  const layout = inner.querySelector('tf-dashboard-layout')?.shadowRoot;
  if (layout) hide(layout, '#sidebar');

  let ours: string | null = null;
  let theirs: string | null = null;
  let fresh = true;
  let attempt: ReturnType<typeof setTimeout> | undefined;
  let turn: ReturnType<typeof setTimeout> | undefined;
  let wanted: Chosen | null = null;
  const drawn = (): boolean =>
    loader._graphRunTag?.run === wanted?.run && loader._graphRunTag?.tag === wanted?.tag;
  /** It fetches its first graph by itself. */
  const fetching = (): boolean => {
    if (!controls.datasets?.length || loader.progress?.error) return false;
    return loader._graphRunTag === undefined || (loader.progress?.value ?? 100) < 100;
  };
  const fetch = (run: number, tag: number): void => {
    if (fetching()) turn = setTimeout(fetch, PAUSE_MS, run, tag);
    else if (!drawn()) {
      // A node that is not in the next graph makes the dashboard fail.
      dashboard.set('_selectedNode', null);
      controls.set('_selectedRunIndex', run);
      controls.set('_selectedTagIndex', tag);
      controls.set('_selectedGraphType', CONCEPTUAL);
    }
  };
  /** The scene fails on a node that it has not drawn yet: it is asked first. */
  const drawing = (node: string): Scene | null => {
    if (!drawn()) return null;
    const graph = board.shadowRoot?.querySelector('tf-graph');
    const scene = graph?.shadowRoot?.querySelector<Scene>('tf-graph-scene');
    return scene?.renderHierarchy?.getRenderNodeByName(node) ? scene : null;
  };
  const point = (node: string, until: number): void => {
    const scene = drawing(node);
    if (scene) {
      // What was clicked there stays where it is.
      const held = node === theirs ? null : approach(scene, node);
      dashboard.set('_selectedNode', node);
      if (fresh) attempt = setTimeout(hold, PAUSE_MS, node, held, performance.now() + SETTLED_MS);
      fresh = false;
    } else if (performance.now() < until) attempt = setTimeout(point, PAUSE_MS, node, until);
  };
  /** Until a graph that was just opened stays as it is, or the reader takes hold of it. */
  const hold = (node: string, held: ZoomTransform | null, until: number): void => {
    const scene = drawing(node);
    let now = held;
    if (scene && dashboard._selectedNode !== node) {
      dashboard.set('_selectedNode', node);
    }
    if (scene && transformOf(scene) !== held) now = approach(scene, node);
    const end = now === held ? until : performance.now() + SETTLED_MS;
    if (performance.now() < end) attempt = setTimeout(hold, PAUSE_MS, node, now, end);
  };
  for (const touch of ['pointerdown', 'wheel', 'keydown'] as const) {
    page.addEventListener(touch, () => clearTimeout(attempt), { capture: true, passive: true });
  }
  board.addEventListener('node-select', (event) => {
    const name = (event as CustomEvent<{ name?: string } | null>).detail?.name;
    if (!name || name === ours) return;
    theirs = name;
    onSelect(name);
  });
  return {
    show(run, name) {
      const datasets = controls.datasets ?? [];
      const at = datasets.findIndex((dataset) => dataset.name === run);
      const tags = datasets[at]?.tags ?? [];
      const tag = tags.findIndex((one) => one.tag === `graph of ${name}`);
      if (tag < 0) {
        dashboard._initialized = false;
        dashboard._maybeInitializeDashboard();
        return false;
      }
      fresh = true;
      wanted = { run, tag: tags[tag]!.tag };
      clearTimeout(turn);
      fetch(at, tag);
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

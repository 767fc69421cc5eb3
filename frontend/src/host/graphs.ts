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

interface Loader extends Polymer {
  _load(graph: Chosen): Promise<unknown>;
  /** What is drawn. */
  _graphRunTag?: Chosen;
  /** Of one fetch, also where there are several. */
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

function isLoader(element: Element | null | undefined): element is Loader {
  return isPolymer(element) && typeof (element as Partial<Loader>)._load === 'function';
}

function isPolymer(element: Element | null | undefined): element is Polymer {
  return typeof (element as Partial<Polymer> | null | undefined)?.set === 'function';
}

// The dashboard shows a graph as a whole, in which no name can be read.
const READABLE = 1.7;
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
    const pane = take(frame, onSelect, signal);
    if (pane) return pane;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(
    "TensorBoard's graph dashboard is not where version 2.21 has it, so it is not shown here. " +
      'The Graphs tab shows the same model.',
  );
}

function take(
  frame: HTMLIFrameElement,
  onSelect: (node: string) => void,
  signal: AbortSignal,
): GraphsPane | null {
  const page = frame.contentDocument;
  const dashboard = page?.querySelector('tf-graph-dashboard');
  const inner = dashboard?.shadowRoot;
  const controls = inner?.querySelector<Controls>('tf-graph-controls');
  const board = inner?.querySelector('tf-graph-board');
  const loader = inner?.querySelector<Loader>('tf-graph-dashboard-loader');
  if (!page || !inner || !board || !isDashboard(dashboard) || !isPolymer(controls)) return null;
  if (!isLoader(loader) || !dashboard._datasetsFetched) return null;

  hide(page, 'app-header');
  const layout = inner.querySelector('tf-dashboard-layout')?.shadowRoot;
  if (layout) hide(layout, '#sidebar');

  let wanted: Chosen | null = null;
  let ours: string | null = null;
  let theirs: string | null = null;
  let asked: Chosen | null = null;
  /** Where the graph is since the chosen node was brought near; null before. */
  let near: ZoomTransform | null = null;
  /** From then on, the graph stays where the reader moves it. */
  let touched = false;

  const isWanted = (graph: Chosen | null | undefined): boolean =>
    graph?.run === wanted?.run && graph?.tag === wanted?.tag;
  const placeOf = (graph: Chosen | null): { run: number; tag: number } | null => {
    const datasets = controls.datasets ?? [];
    const run = datasets.findIndex(({ name }) => name === graph?.run);
    const tag = datasets[run]?.tags.findIndex((one) => one.tag === graph?.tag) ?? -1;
    return tag < 0 ? null : { run, tag };
  };
  /** It fetches its first graph by itself. */
  const fetching = (): boolean => {
    if (!controls.datasets?.length || loader.progress?.error) return false;
    return loader._graphRunTag === undefined || (loader.progress?.value ?? 100) < 100;
  };
  // Wherever the list of graphs is read again, the dashboard fetches the first of them. Of two
  // that are fetched at once it draws what comes last, and it fails where the graph changes while
  // a node is chosen.
  const load = loader._load.bind(loader);
  loader._load = (graph) => (isWanted(graph) ? load(graph) : Promise.resolve());
  const fetch = (): void => {
    const place = placeOf(wanted);
    if (!place) return;
    asked = wanted;
    [near, touched, theirs] = [null, false, null];
    dashboard.set('_selectedNode', null);
    // It fetches where the selection changes.
    controls.set('_selectedTagIndex', -1);
    controls.set('_selectedRunIndex', place.run);
    controls.set('_selectedTagIndex', place.tag);
    controls.set('_selectedGraphType', CONCEPTUAL);
  };
  const point = (node: string): void => {
    const graph = board.shadowRoot?.querySelector('tf-graph');
    const scene = graph?.shadowRoot?.querySelector<Scene>('tf-graph-scene');
    // The scene fails on a node that it has not drawn yet.
    if (!scene?.renderHierarchy?.getRenderNodeByName(node)) return;
    // What was clicked there stays where it is.
    if (node !== theirs && (near === null || transformOf(scene) !== near)) {
      near = approach(scene, node);
    }
    if (dashboard._selectedNode !== node) dashboard.set('_selectedNode', node);
  };
  /** The dashboard moves a graph about and forgets the chosen node some time after it drew it. */
  const keep = (): void => {
    if (wanted === null || fetching()) return;
    if (!isWanted(loader._graphRunTag)) {
      if (asked !== wanted) fetch();
    } else if (ours !== null && !(touched && (near !== null || ours === theirs))) point(ours);
  };
  const keeper = setInterval(keep, PAUSE_MS);
  signal.addEventListener('abort', () => clearInterval(keeper));
  for (const touch of ['pointerdown', 'wheel', 'keydown'] as const) {
    page.addEventListener(touch, () => (touched = true), { capture: true, passive: true });
  }
  board.addEventListener('node-select', (event) => {
    const name = (event as CustomEvent<{ name?: string } | null>).detail?.name;
    if (!name || name === ours) return;
    theirs = name;
    onSelect(name);
  });
  return {
    show(run, name) {
      const graph = { run, tag: `graph of ${name}` };
      if (!placeOf(graph)) {
        dashboard._initialized = false;
        dashboard._maybeInitializeDashboard();
        return false;
      }
      if (!isWanted(graph)) wanted = graph;
      keep();
      return true;
    },
    dim(dark) {
      page.body.classList.toggle('dark-mode', dark);
    },
    highlight(node) {
      ours = node;
      if (node === null) dashboard.set('_selectedNode', null);
      if (node !== theirs) [near, touched] = [null, false];
      keep();
    },
  };
}

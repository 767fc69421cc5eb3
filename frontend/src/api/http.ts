import { decode, done, isOwn, nameOfOwn } from './own';
import { ApiError, type Source, UNREACHABLE } from './source';
import type { Known, OwnMatrix } from './generated';
import type {
  Cells,
  CellsInfo,
  Job,
  LayerGraph,
  LayerInfo,
  Listing,
  Matrix,
  MatrixInfo,
  Measures,
  UnitInfo,
} from './types';

const NOT_MODIFIED = 304;

/** Names this tab among those that wait for a job. */
const WATCHER = Math.random().toString(36).slice(2);

type Query = Record<string, string | number>;

function address(route: string, query: Query = {}): string {
  const pairs = Object.entries(query).map(
    ([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`,
  );
  return pairs.length ? `${route}?${pairs.join('&')}` : route;
}

async function request(url: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch {
    throw new ApiError(
      UNREACHABLE,
      'TensorBoard does not answer. Is it still running? Once it is there again, the tab goes on by itself.',
    );
  }
  if (response.ok || response.status === NOT_MODIFIED) return response;
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error: { type: string; message: string } };
    throw new ApiError(error.type, error.message);
  } catch (thrown) {
    if (thrown instanceof ApiError) throw thrown;
    throw new ApiError(`HTTP ${response.status}`, text.slice(0, 300) || response.statusText);
  }
}

async function read<T>(route: string, query?: Query): Promise<T> {
  return (await (await request(address(route, query))).json()) as T;
}

async function post<T>(route: string, type: string, body: BodyInit): Promise<T> {
  const response = await request(route, {
    method: 'POST',
    headers: { 'Content-Type': type, 'X-Modelcompare': '1' },
    body,
  });
  return (await response.json()) as T;
}

function send<T>(route: string, body: unknown): Promise<T> {
  return post<T>(route, 'application/json', JSON.stringify(body));
}

/** A table's description and its values, which have routes of their own. */
async function withValues<T extends { rows: string[]; columns: string[] }>(
  route: string,
  id: string,
): Promise<T & { values: Float64Array }> {
  const [info, bytes] = await Promise.all([
    read<T>(`${route}_info`, { id }),
    request(address(route, { id })).then((response) => response.arrayBuffer()),
  ]);
  const expected = 8 * info.rows.length * info.columns.length;
  if (bytes.byteLength !== expected) {
    throw new ApiError(
      'BrokenMatrix',
      `The server sent ${bytes.byteLength} bytes for a matrix of ${info.rows.length} × ` +
        `${info.columns.length}; expected ${expected}. Reload the page.`,
    );
  }
  return { ...info, values: new Float64Array(bytes) };
}

let listed: { tag: string | null; listing: Listing } | null = null;

/** The snapshots; the same object again as long as there is nothing new. */
async function snapshots(): Promise<Listing> {
  const headers = listed?.tag ? { 'If-None-Match': listed.tag } : undefined;
  const response = await request('snapshots', headers && { headers });
  if (response.status === NOT_MODIFIED && listed) return listed.listing;
  listed = { tag: response.headers.get('ETag'), listing: (await response.json()) as Listing };
  return listed.listing;
}

/** The plugin's own routes, relative to the plugin's frame. */
export const httpSource: Source = {
  live: true,
  read: (route, query) => read(route, query as Query),
  snapshots,
  measures: () => read<Measures>('measures'),
  graph: (snapshot) => read<LayerGraph>('graph', { snapshot }),
  layer: (snapshot, layer) => read<LayerInfo>('layer', { snapshot, layer }),
  unit: (snapshot, layer, unit, limit) => read<UnitInfo>('unit', { snapshot, layer, unit, limit }),
  probeImage: (snapshot, index, size, box) =>
    address('probe_image', {
      snapshot,
      index,
      size,
      ...(box ? { box: box.map((share) => share.toFixed(4)).join(',') } : {}),
    }),
  unitCrops: (snapshot, layer, units, size) =>
    address('unit_crops', { snapshot, layer, units: units.join(','), size }),
  keepPhoto: async (photo) => (await post<{ photo: string }>('photo', photo.type, photo)).photo,
  ownPhoto: (digest) => address('job_image', { id: digest, name: 'photo.png' }),
  warmUp: (snapshot, layer, targets) => send('warm_up', { snapshot, layer, targets }),
  known: async (job) => (await send<Known>('known', job)).items,
  caricature: () => null,
  picture: (relative) => relative,
  start: async (job, background) =>
    job.kind === 'similarity' && isOwn(job.measure)
      ? done(address('alignment', { a: job.a, b: job.b, name: nameOfOwn(job.measure) }))
      : send<Job>(
          address('jobs', { watcher: WATCHER, ...(background ? { background: 1 } : {}) }),
          job,
        ),
  job: (id) => read<Job>('job', { id, watcher: WATCHER }),
  cancel: (id) => send<Job>('cancel', { id }),
  leave: (id) => send<Job>(address('cancel', { watcher: WATCHER }), { id }),
  result: <T>(id: string) => read<T>('result', { id }),
  async array(id, name) {
    const response = await request(address('array', { id, name }));
    return new Float64Array(await response.arrayBuffer());
  },
  async matrix(id): Promise<Matrix> {
    if (id.startsWith('alignment?')) {
      const own = await read<OwnMatrix>(id);
      return { ...own, values: decode(own.values) };
    }
    const matrix = await withValues<MatrixInfo>('matrix', id);
    if (!matrix.interval) return matrix;
    const [low, high] = await Promise.all(
      ['low', 'high'].map(async (which) => {
        const response = await request(address('matrix', { id, which }));
        return new Float64Array(await response.arrayBuffer());
      }),
    );
    return { ...matrix, ends: { low: low!, high: high! } };
  },
  cells: (id): Promise<Cells> => withValues<CellsInfo>('cells', id),
};

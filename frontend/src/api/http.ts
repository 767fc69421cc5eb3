import { decode, done, isOwn, nameOfOwn } from './own';
import { ApiError, type Source, UNREACHABLE } from './source';
import type { Known, MatrixValues } from './generated';
import type {
  Cells,
  CellsInfo,
  Job,
  LayerGraph,
  LayerInfo,
  Listing,
  Matrix,
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

/** The values of a table, if they are as many as it has cells. */
function ofTable(values: Float64Array, rows: string[], columns: string[]): Float64Array {
  if (values.length === rows.length * columns.length) return values;
  throw new ApiError(
    'BrokenMatrix',
    `The server sent ${values.length} values for a matrix of ${rows.length} × ` +
      `${columns.length}. Reload the page.`,
  );
}

/** A matrix with its values and the ends of their interval, all of one estimate. */
async function matrix(route: string, query: Query = {}): Promise<Matrix> {
  const found = await read<MatrixValues>(route, query);
  const numbers = (coded: string) => ofTable(decode(coded), found.rows, found.columns);
  const { interval_low, interval_high } = found;
  const ends =
    interval_low && interval_high
      ? { low: numbers(interval_low), high: numbers(interval_high) }
      : null;
  return { ...found, values: numbers(found.values), ends };
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
  // A user's own alignment has a route of its own as the id of its job.
  matrix: (id) => (id.startsWith('alignment?') ? matrix(id) : matrix('similarity', { id })),
  async cells(id): Promise<Cells> {
    const [info, bytes] = await Promise.all([
      read<CellsInfo>('cells_info', { id }),
      request(address('cells', { id })).then((response) => response.arrayBuffer()),
    ]);
    return { ...info, values: ofTable(new Float64Array(bytes), info.rows, info.columns) };
  },
};

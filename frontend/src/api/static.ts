import { ApiError, type Source } from './source';
import type { Job, LayerGraph, Listing, Matrix, MatrixInfo, Measures } from './types';

/** What a report carries: one comparison, complete; nothing else can be asked for. */
export interface ReportData {
  listing: Listing;
  measures: Measures;
  /** By snapshot id. */
  graphs: Record<string, LayerGraph>;
  /** `values`: float64, little-endian, row after row, base64. */
  matrix: MatrixInfo & { values: string };
}

const ONLY_JOB = 'report';

/** A report's own inlined data as a source. */
export function staticSource(data: ReportData): Source {
  const absent = (): never => {
    throw new ApiError(
      'NotInThisReport',
      'A report holds one comparison. Open the logs in TensorBoard to see more.',
    );
  };
  const done: Job = {
    id: ONLY_JOB,
    kind: 'similarity',
    status: 'done',
    fraction: 1,
    message: '',
    position: null,
    cached: true,
    items: [],
    error: null,
  };
  return {
    live: false,
    snapshots: () => Promise.resolve(data.listing),
    measures: () => Promise.resolve(data.measures),
    graph: async (snapshot) => data.graphs[snapshot] ?? absent(),
    layer: async () => absent(),
    unit: async () => absent(),
    probeImage: absent,
    keepPhoto: async () => absent(),
    ownPhoto: absent,
    warmUp: () => Promise.resolve(),
    picture: absent,
    start: async (request) => {
      const { a, b, measure } = data.matrix;
      const asked = request.kind === 'similarity' ? request : null;
      return asked?.a === a && asked.b === b && asked.measure === measure ? done : absent();
    },
    job: () => Promise.resolve(done),
    cancel: () => Promise.resolve(done),
    result: async () => absent(),
    array: async () => absent(),
    cells: async () => absent(),
    matrix: async (): Promise<Matrix> => ({ ...data.matrix, values: decode(data.matrix.values) }),
  };
}

function decode(base64: string): Float64Array {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Float64Array(bytes.buffer);
}

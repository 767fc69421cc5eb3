import { decode, done } from './own';
import { ApiError, type Source } from './source';
import type { LayerGraph, Listing, Matrix, MatrixInfo, Measures } from './types';

/** What a report carries: one comparison, complete; nothing else can be asked for. */
export interface ReportData {
  listing: Listing;
  measures: Measures;
  /** By snapshot id. */
  graphs: Record<string, LayerGraph>;
  /** `values`, `p_values`: float64, little-endian, row after row, base64. */
  matrix: MatrixInfo & { values: string; p_values: string | null };
  /** Pictures of a photo as layers see it, by snapshot id and layer, as data addresses. */
  caricatures?: Record<string, Record<string, string>>;
}

const AS_WRITTEN = 'report';
const SWAPPED = 'swapped';

/** A report's own inlined data as a source. */
export function staticSource(data: ReportData): Source {
  const absent = (): never => {
    throw new ApiError(
      'NotInThisReport',
      'A report holds one comparison. Open the logs in TensorBoard to see more.',
    );
  };
  return {
    live: false,
    opening: { a: data.matrix.a, b: data.matrix.b },
    read: async () => absent(),
    snapshots: () => Promise.resolve(data.listing),
    measures: () => Promise.resolve(data.measures),
    graph: async (snapshot) => data.graphs[snapshot] ?? absent(),
    layer: async () => absent(),
    unit: async () => absent(),
    probeImage: absent,
    unitCrops: absent,
    keepPhoto: async () => absent(),
    ownPhoto: absent,
    warmUp: () => Promise.resolve(),
    known: () => Promise.resolve([]),
    caricature: (snapshot, layer) => data.caricatures?.[snapshot]?.[layer] ?? null,
    picture: absent,
    start: async (request) => {
      const { a, b, measure } = data.matrix;
      const asked = request.kind === 'similarity' ? request : null;
      if (asked?.measure !== measure) return absent();
      if (asked.a === a && asked.b === b) return done(AS_WRITTEN);
      const symmetric = data.measures.measures.some((m) => m.name === measure && m.symmetric);
      return symmetric && asked.a === b && asked.b === a ? done(SWAPPED) : absent();
    },
    job: (id) => Promise.resolve(done(id)),
    cancel: (id) => Promise.resolve(done(id)),
    leave: (id) => Promise.resolve(done(id)),
    result: async () => absent(),
    array: async () => absent(),
    cells: async () => absent(),
    matrix: async (id): Promise<Matrix> => {
      const { a, b, rows, columns } = data.matrix;
      const values = decode(data.matrix.values);
      const p_values = data.matrix.p_values === null ? null : decode(data.matrix.p_values);
      if (id === AS_WRITTEN) return { ...data.matrix, values, p_values };
      const turned = (all: Float64Array): Float64Array =>
        Float64Array.from(
          columns.flatMap((_, j) => rows.map((_, i) => all[i * columns.length + j]!)),
        );
      const sides = { a: b, b: a, rows: columns, columns: rows };
      const both = { values: turned(values), p_values: p_values && turned(p_values) };
      return { ...data.matrix, ...sides, ...both };
    },
  };
}

import { decode, done } from './own';
import { ApiError, NOT_HELD, type Held, type Source } from './source';
import type { AnalogiesRequest, LayerPairResult } from './generated';
import type {
  Box,
  JobItem,
  JobRequest,
  LayerGraph,
  LayerInfo,
  Listing,
  Matrix,
  MatrixInfo,
  Measures,
  UnitInfo,
} from './types';

/** What a report carries: one comparison, complete, and what it was given of pictures. */
export interface ReportData {
  listing: Listing;
  measures: Measures;
  /** By snapshot id. */
  graphs: Record<string, LayerGraph>;
  /** `values`, `p_values`: float64, little-endian, row after row, base64. */
  matrix: MatrixInfo & { values: string; p_values: string | null };
  /** Pictures of a photo as layers see it, by snapshot id and layer, as data addresses. */
  caricatures?: Record<string, Record<string, string>>;
  pictures?: Pictures | null;
}

/** Pictures are data addresses. */
interface Pictures {
  notes: string[];
  /** By snapshot id and layer. */
  units: Record<string, Record<string, Units>>;
  pairs: ({ a: string; b: string } & LayerPairResult)[];
  /** Images of the probe by their number. */
  photos: Record<string, string>;
  /** Their height over their width. */
  aspect: number;
  analogies: { asked: AnalogiesRequest & { unit: number }; items: JobItem[] }[];
}

/** Of some units of a layer, in the same order: their numbers, images, and crops on one sheet. */
interface Units {
  info: LayerInfo;
  units: number[];
  top: UnitInfo[];
  crops: string | null;
}

const AS_WRITTEN = 'report';
const SWAPPED = 'swapped';
/** Of the longer side of what is made of pictures. */
const PIXELS = 480;
/** Crops in a row of a sheet, in the report and in what is made of it. */
const ACROSS = 8;

/** A report's own inlined data as a source. */
export function staticSource(data: ReportData): Source {
  const { pictures } = data;
  const refuse = (message: string): never => {
    throw new ApiError(NOT_HELD, message);
  };
  const absent = (): never =>
    refuse('This report does not hold that. Open the logs in TensorBoard to see more.');
  const unitsOf = (snapshot: string, layer: string): Units =>
    pictures?.units[snapshot]?.[layer] ??
    refuse(
      pictures
        ? `This report holds no units of ${layer}.`
        : 'This report was written without pictures of units.',
    );
  const analogiesOf = (snapshot: string, layer: string, unit: number): JobItem[] =>
    pictures?.analogies.find(
      ({ asked }) => asked.a === snapshot && asked.layer === layer && asked.unit === unit,
    )?.items ?? [];

  const held: Held | undefined = pictures
    ? {
        notes: pictures.notes,
        units: (snapshot, layer) => pictures.units[snapshot]?.[layer]?.units ?? [],
        analogies: (snapshot, layer, unit) =>
          analogiesOf(snapshot, layer, unit)
            .slice(1)
            .map((item) => item.layer),
      }
    : undefined;

  /** The card of a pair, as the request has its sides. */
  function card(request: JobRequest): LayerPairResult | null {
    if (request.kind !== 'layer_pair') return null;
    const { a, layer_a, layer_b } = request;
    const turned = a !== data.matrix.a;
    const [first, second] = turned ? [layer_b, layer_a] : [layer_a, layer_b];
    const found = pictures?.pairs.find((pair) => pair.a === first && pair.b === second);
    if (!found) return null;
    const { unit_pairs, agree, differ } = found;
    const swapped = unit_pairs.map((pair) => ({ ...pair, a: pair.b, b: pair.a }));
    return { unit_pairs: turned ? swapped : unit_pairs, agree, differ };
  }

  return {
    live: false,
    opening: { a: data.matrix.a, b: data.matrix.b },
    ...(held && { held }),
    read: async (route, query) => {
      if (route !== 'unit_renders') return absent();
      const { snapshot, layer } = query as { snapshot: string; layer: string };
      const made = (held?.units(snapshot, layer) ?? []).flatMap((unit) => {
        const image = analogiesOf(snapshot, layer, unit)[0]?.image;
        return image ? [{ unit, image }] : [];
      });
      const answer = { units: made.map((one) => one.unit), images: made.map((one) => one.image) };
      return answer as never;
    },
    snapshots: () => Promise.resolve(data.listing),
    measures: () => Promise.resolve(data.measures),
    graph: async (snapshot) => data.graphs[snapshot] ?? absent(),
    layer: async (snapshot, layer) => {
      const { info, units } = unitsOf(snapshot, layer);
      const spread = (values: number[]): number[] => {
        const all = new Array<number>(info.units).fill(0);
        units.forEach((unit, at) => (all[unit] = values[at]!));
        return all;
      };
      const { mean, max, active, selectivity } = info.stats;
      const stats = {
        mean: spread(mean),
        max: spread(max),
        active: spread(active),
        selectivity: spread(selectivity),
      };
      return { ...info, stats };
    },
    unit: async (snapshot, layer, unit) => {
      const { units, top } = unitsOf(snapshot, layer);
      return top[units.indexOf(unit)] ?? refuse(`This report does not hold unit ${unit}.`);
    },
    probeImage: (_, index, __, box) => {
      const photo = pictures?.photos[index];
      if (!photo) return '';
      if (!box) return photo;
      const [top, left, height, width] = box;
      const tall = pictures.aspect;
      return drawing([left, top * tall, width, height * tall], image(photo, 1, tall));
    },
    unitCrops: (snapshot, layer, wanted) => {
      const { units, crops } = unitsOf(snapshot, layer);
      const places = wanted.map((unit) => units.indexOf(unit));
      const [columns, rows] = shape(wanted.length);
      const [across, down] = shape(units.length);
      const sheet = image(crops ?? '', across, down);
      const cells = places.map((place, at) => {
        const from = `${place % ACROSS} ${Math.floor(place / ACROSS)} 1 1`;
        const to = `x="${at % ACROSS}" y="${Math.floor(at / ACROSS)}" width="1" height="1"`;
        return place < 0 ? '' : `<svg ${to} viewBox="${from}"><use href="#i"/></svg>`;
      });
      return drawing([0, 0, columns, rows], `<defs>${sheet}</defs>${cells.join('')}`);
    },
    keepPhoto: async () => absent(),
    ownPhoto: absent,
    warmUp: () => Promise.resolve(),
    known: async (request) =>
      request.kind === 'analogies' ? analogiesOf(request.a, request.layer, request.unit ?? -1) : [],
    caricature: (snapshot, layer) => data.caricatures?.[snapshot]?.[layer] ?? null,
    picture: (address) => address,
    start: async (request) => {
      if (request.kind === 'layer_pair') {
        if (card(request)) return done(JSON.stringify(request));
        return refuse('This report holds no units and images of this pair of layers.');
      }
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
    result: async <T>(id: string) => (card(JSON.parse(id) as JobRequest) ?? absent()) as T,
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

/** Columns and rows of a sheet of so many crops. */
const shape = (count: number): [number, number] => [
  Math.min(ACROSS, count),
  Math.ceil(count / ACROSS),
];

/** The address of a picture that is made of others: an SVG document as its own address. */
function drawing([x, y, width, height]: Box, content: string): string {
  const scale = PIXELS / Math.max(width, height);
  const document =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${scale * width}" height="${scale * height}" ` +
    `viewBox="${x} ${y} ${width} ${height}">${content}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(document)}`;
}

const image = (address: string, width: number, height: number): string =>
  `<image id="i" width="${width}" height="${height}" preserveAspectRatio="none" href="${address}"/>`;

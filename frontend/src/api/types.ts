/** What the server sends, as documented in docs/http_api.md. */

export interface SnapshotInfo {
  id: string;
  run: string;
  name: string;
  step: number;
  wall_time: number;
  probe_id: string;
  layers: number;
  rows: number;
  /** Photos of the probe, or other items. */
  images: number;
  digest: string;
  /** Whether the probe's items are images; if not, their names stand for them. */
  of_images: boolean;
  renderable: boolean;
  /** Null if it is renderable. */
  unrenderable_because: string | null;
}

export interface Problem {
  where: string;
  message: string;
}

export interface Listing {
  snapshots: SnapshotInfo[];
  problems: Problem[];
  supported: boolean;
  message: string | null;
}

export interface MeasureInfo {
  name: string;
  title: string;
  /** Null where the measure has no bound on that side. */
  low: number | null;
  high: number | null;
  symmetric: boolean;
  /** Less is more alike. */
  distance: boolean;
  /** Biased towards alike where a layer has more units than the probe has rows. */
  wants_rows_over_units: boolean;
  formula: string;
  paper: string;
  summary: string;
}

export interface Measures {
  measures: MeasureInfo[];
  default: string;
}

export interface GraphNode {
  name: string;
  op: string;
  kind: string;
  /** The node into whose box this one is drawn: a ReLU belongs to its convolution. */
  group: string | null;
  inputs: string[];
  shape: (number | null)[] | null;
  units: number | null;
  logged: boolean;
  label: string;
}

export interface GraphBlock {
  name: string;
  kind: string;
  nodes: string[];
  output: string;
  parent: string | null;
}

export interface LayerGraph {
  version: number;
  nodes: GraphNode[];
  blocks: GraphBlock[];
}

export interface LayerInfo {
  name: string;
  units: number;
  rows: number;
  spatial: [number, number] | null;
  /** Null where the model's graph does not know the layer. */
  op: string | null;
  block: string | null;
  stats: { mean: number[]; max: number[]; active: number[] };
}

export interface TopImage {
  image: number;
  name: string;
  value: number;
  /** What the layer `UnitInfo.ranked_by` has there; null without one. */
  before: number | null;
  /** Where the activation was sampled, in [0, 1): u down the height, v along the width. */
  u: number;
  v: number;
  /** What the layer sees from there, as shares of the image: top, left, height, width. */
  box: Box | null;
}

export type Box = [number, number, number, number];

export interface UnitInfo {
  top: TopImage[];
  /** How many more images equal the last of `top`. */
  tied: number;
  /** The layer before a cap by which images of equal activation are put in order. */
  ranked_by: string | null;
  mean: number;
  max: number;
  active: number;
}

export interface MatrixInfo {
  a: string;
  b: string;
  measure: string;
  rows: string[];
  columns: string[];
  low: number | null;
  high: number | null;
  warnings: string[];
  /** `first`: a progressive estimate; the exact values follow. Reports have none. */
  look?: 'first' | 'exact';
  /** How many matrices the job had when this was read. Reports have none. */
  revision?: number;
  /** Whether an estimate says how far the exact values may be from it. */
  interval?: boolean;
}

export interface Matrix extends MatrixInfo {
  /** rows × columns, row after row. */
  values: Float64Array;
  /** Of an estimate: between which the exact values are. */
  ends?: { low: Float64Array; high: Float64Array } | null;
}

export type JobRequest =
  | { kind: 'similarity'; a: string; b: string; measure: string }
  | {
      kind: 'significance';
      a: string;
      b: string;
      measure: string;
      layers_a: string[] | null;
      layers_b: string[] | null;
      permutations: number;
      resamples: number;
    }
  /** What all pairs would have if the images of B were permuted: the null. */
  | { kind: 'chance'; a: string; b: string; measure: string }
  | { kind: 'shared_units'; a: string; layer: string; b: string; layers: string[] | null }
  | {
      kind: 'analogies';
      a: string;
      layer: string;
      unit: number;
      sign: 1 | -1;
      /** A layer whose share in the direction is taken out of it. */
      minus?: { snapshot: string; layer: string } | null;
      targets: { snapshot: string; layers: string[] | null }[];
      size: number;
      steps: number;
      seed: number;
    }
  | {
      kind: 'caricatures';
      snapshot: string;
      /** An image of the probe, or the digest of a photo of one's own. */
      image?: number;
      photo?: string;
      layers: string[];
      size: number;
      steps: number;
      seed: number;
    }
  | { kind: 'trend'; snapshots: string[]; reference: string; measure: string }
  | {
      kind: 'steps';
      a: string[];
      b: string[];
      layer_a: string;
      layer_b: string;
      measure: string;
    }
  | { kind: 'models'; snapshots: string[]; metric: string };

/** Values over many snapshots, as documented in docs/http_api.md. */
export interface CellsInfo {
  kind: 'trend' | 'steps' | 'models';
  /** Layers of a trend, else ids of snapshots. */
  rows: string[];
  /** Ids of snapshots. */
  columns: string[];
  measure: string;
  title: string;
  low: number | null;
  high: number | null;
  /** Small values mean similar. */
  distance: boolean;
  notes: string[];
  /** Pairs of layers computed for this, and known from before. */
  computed: number;
  found: number;
  matching?: 'names' | 'best' | 'depth';
  /** Of a trend: the layer of the reference that each row is compared with. */
  partners?: string[];
  /** Of a map of models: coordinates in the plane, and how far they are from true. */
  points?: [number, number][];
  stress?: number;
  places?: number;
}

export interface Cells extends CellsInfo {
  /** rows × columns, row after row; NaN where there is no value (yet). */
  values: Float64Array;
}

export interface Significance {
  rows: string[];
  columns: string[];
  permutations: number;
  resamples: number;
  arrays: string[];
}

/** The arrays themselves, row after row, while a few pairs are being computed. */
export interface KnownSignificance {
  rows: string[];
  columns: string[];
  arrays: Record<string, number[][]>;
}

export interface Chance {
  /** Over how many permutations; null for the mean over all that there are. */
  shuffles: number | null;
}

/** One entry per unit; null for a unit that is constant on the probe. */
export interface SharedUnits {
  layers: string[];
  r2: (number | null)[];
  best: (number | null)[];
}

export interface JobItem {
  key: string;
  snapshot: string;
  layer: string;
  role: 'source' | 'difference' | 'analogy' | 'caricature';
  r2: number | null;
  best_unit: { unit: number; correlation: number } | null;
  /** Key of the finished picture in the cache. */
  picture: string;
  /** Relative address of the picture, once there is one. */
  image: string | null;
  step: number;
  /** Why this layer has no picture and never will. */
  problem: string | null;
}

export interface NamedError {
  type: string;
  message: string;
}

export interface Job {
  id: string;
  kind: string;
  status: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  fraction: number;
  message: string;
  position: number | null;
  cached: boolean;
  items: JobItem[];
  error: NamedError | null;
  /** Of similarity: what `matrix` answers with now, and how many matrices there were. */
  look?: 'first' | 'exact' | null;
  revision?: number;
  /** What a job that is not done knows of its result: `KnownSignificance` or `SharedUnits`. */
  known?: unknown;
}

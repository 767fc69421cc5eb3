// Written by `./run generate` from the server's records. Do not edit.

/**
 * A picture of the unit (or, with `sign` -1, of its opposite), and of the direction that
 * answers to it in each layer of `targets`; at most 256 pictures. `answer` says which direction
 * that is. Instead of `unit`, give `direction`. With `minus`, the direction is the residual
 * direction: what remains without what that layer has of it. Layers that are named first are
 * drawn first.
 */
export interface AnalogiesRequest {
  kind: "analogies";
  /** id of a snapshot */
  a: string;
  /** name of a layer */
  layer: string;
  /** layers of snapshots */
  targets: Target[];
  unit?: number | null;
  direction?: number[] | null;
  sign?: -1 | 1;
  /** the direction of linear regression, the pattern that goes with the unit, or the weights that predict it best */
  answer?: "decoder" | "pattern" | "regression";
  minus?: LayerOf | null;
  /** pixels of the longer side, or "auto": 96, 192 or 384 for each layer, by how far apart its positions are and how much they see */
  size?: number | "auto";
  /** steps of the optimisation */
  steps?: number;
  seed?: number;
  /** power of the cosine in the objective: more is purer */
  cossim_pow?: number;
}

/** Layers of a snapshot in which to look for the direction. */
export interface Target {
  /** id of a snapshot */
  snapshot: string;
  /** names of layers; null for all that can be rendered */
  layers?: string[] | null;
}

/** A layer of a snapshot. */
export interface LayerOf {
  /** id of a snapshot */
  snapshot: string;
  /** name of a layer */
  layer: string;
}

/** Compare the classes that `a` and `b` name. */
export interface BehaviourRequest {
  kind: "behaviour";
  /** id of a snapshot */
  a: string;
  /** id of a snapshot */
  b: string;
}

/**
 * What each layer sees in an image of the probe (`image`), or in one's own photo (`photo`).
 *
 * Layers that are named first are drawn first.
 */
export interface CaricaturesRequest {
  kind: "caricatures";
  /** id of a snapshot */
  snapshot: string;
  image?: number | null;
  photo?: string | null;
  /** names of layers; null for all that can be rendered */
  layers?: string[] | null;
  /** pixels of the longer side */
  size?: number;
  /** steps of the optimisation */
  steps?: number;
  seed?: number;
  /** power of the cosine in the objective: more is purer */
  cossim_pow?: number;
}

/**
 * The unit pairs of a layer of `a` and one of `b` that correlate most on many images, and the
 * images of the probe on which these layers agree most and least.
 */
export interface LayerPairRequest {
  kind: "layer_pair";
  /** id of a snapshot */
  a: string;
  /** name of a layer */
  layer_a: string;
  /** id of a snapshot */
  b: string;
  /** name of a layer */
  layer_b: string;
}

/** Distances between 2 to 64 models, and a map of them. */
export interface ModelsRequest {
  kind: "models";
  /** ids of snapshots */
  snapshots: string[];
  /** `angular_cka` or `procrustes_angle` */
  metric: string;
}

/**
 * The mean of the measure between all layers when whole images of `b` are permuted: of linear
 * CKA over all orders of the images, exactly and at once; of other measures over five.
 */
export interface NullRequest {
  kind: "chance";
  /** id of a snapshot */
  a: string;
  /** id of a snapshot */
  b: string;
  /** name of a measure */
  measure: string;
}

/**
 * The measure between layers of `model` and the same layers of each of `seeds`, which are
 * other trainings of the same model on the same probe.
 */
export interface SeedCeilingRequest {
  kind: "seed_ceiling";
  /** id of a snapshot */
  model: string;
  /** ids of snapshots */
  seeds: string[];
  /** name of a measure */
  measure: string;
  /** names of layers; null for all */
  layers?: string[] | null;
}

/**
 * How well each unit of a layer of `a` is predicted by `layers` of `b`, on images not fitted
 * to; the best of these layers counts. They are tried in the order in which they are named.
 */
export interface SharedUnitsRequest {
  kind: "shared_units";
  /** id of a snapshot */
  a: string;
  /** name of a layer */
  layer: string;
  /** id of a snapshot */
  b: string;
  /** names of layers; null for all */
  layers?: string[] | null;
}

/**
 * The measure between these layers, its null by permutation of whole images of `b`, and an
 * interval by resampling of images. Give `permutations`, `resamples` or both.
 */
export interface SignificanceRequest {
  kind: "significance";
  /** id of a snapshot */
  a: string;
  /** id of a snapshot */
  b: string;
  /** name of a measure */
  measure: string;
  /** names of layers; null for all */
  layers_a?: string[] | null;
  /** names of layers; null for all */
  layers_b?: string[] | null;
  permutations?: number;
  resamples?: number;
}

/** Compare all layers of `a` with all of `b`. Read the values with `similarity`. */
export interface SimilarityRequest {
  kind: "similarity";
  /** id of a snapshot */
  a: string;
  /** id of a snapshot */
  b: string;
  /** name of a measure */
  measure: string;
}

/** One layer at each of the steps `a` against another at each of the steps `b`. */
export interface StepMapRequest {
  kind: "steps";
  /** ids of snapshots */
  a: string[];
  /** name of a layer */
  layer_a: string;
  /** ids of snapshots */
  b: string[];
  /** name of a layer */
  layer_b: string;
  /** name of a measure */
  measure: string;
}

/**
 * Each layer of the snapshots of a run (at most 1000, in any order) against its partner in the
 * reference.
 */
export interface TrendRequest {
  kind: "trend";
  /** ids of snapshots */
  snapshots: string[];
  /** id of a snapshot */
  reference: string;
  /** name of a measure */
  measure: string;
}

/** The layer that was chosen, and those in which its units' analogies will be drawn first. */
export interface WarmUpRequest {
  /** id of a snapshot */
  snapshot: string;
  /** name of a layer */
  layer: string;
  targets?: Target[];
}

/** Which job to cancel, or to wait for no longer. */
export interface CancelRequest {
  id: string;
}

/** An error: the name of its class, and a sentence that says what to do. */
export interface NamedError {
  type: string;
  message: string;
}

/**
 * The status of a job.
 *
 * `status` is the word that every client knows. `state` tells a job that took too long
 * ("timed_out", a kind of "failed") from one that failed otherwise. `position` is the number of
 * jobs that wait before this one.
 *
 * `look` says which matrix of a similarity can be read: "first" is a progressive estimate,
 * "exact" the values themselves. `revision` counts the matrices so far. `known` is what an
 * unfinished job knows of its result.
 */
export interface Job {
  id: string;
  kind: string;
  status: "cancelled" | "done" | "failed" | "queued" | "running";
  state: State;
  fraction: number;
  message: string;
  position: number | null;
  cached: boolean;
  items: JobItem[];
  look: "exact" | "first" | null;
  revision: number;
  known: unknown;
  error: NamedError | null;
}

/** Where a job is on its way. */
export type State = "cancelled" | "done" | "failed" | "queued" | "running" | "timed_out";

/**
 * One picture of a job that makes pictures.
 *
 * `drawn` is of an analogy the direction of the picture, `r2` the cross-validated R² of
 * predicting the unit from all of this layer, `picture` the key of the finished picture in the
 * cache, `image` the relative address of the picture once there is one, and `problem` says why
 * this layer has no picture and never will. `stronger_than` is the share of the probe's images
 * that the finished picture exceeds along its direction: each is seen at the size of the model's
 * input, and its activity averaged over positions.
 */
export interface JobItem {
  key: string;
  snapshot: string;
  layer: string;
  role: "analogy" | "caricature" | "difference" | "source";
  picture: string;
  drawn: DrawnDirection | null;
  r2: number | null;
  best_unit: BestUnit | null;
  stronger_than: number | null;
  problem: string | null;
  image: string | null;
  step: number;
}

/**
 * The direction that a picture of an analogy is drawn of, and how it answers to the unit.
 *
 * `correlation` is that of the activity along it with the unit's, on images that it was not
 * fitted to; `low` and `high` are the ends of its 95 % interval over images, and `null` is the
 * 95 % quantile when images are permuted, null where they cannot be.
 */
export interface DrawnDirection {
  direction: "decoder" | "pattern" | "regression";
  correlation: number;
  low: number;
  high: number;
  null: number | null;
}

/** The unit of a layer that correlates best with the unit that was asked about. */
export interface BestUnit {
  unit: number;
  correlation: number;
}

/** The pictures of a request; `image` is null in those that were not drawn yet. */
export interface Known {
  items: JobItem[];
}

/** The units of a layer that were drawn, and the relative addresses of their pictures. */
export interface UnitRenders {
  units: number[];
  images: string[];
}

/** A photo that was kept: its digest, and its size in pixels. */
export interface Kept {
  photo: string;
  width: number;
  height: number;
}

/**
 * A matrix without its values: the exact one, or a progressive estimate.
 *
 * `look` is "first" for a progressive estimate, whose `revision` counts up, and "exact" for the
 * values themselves. `interval` says whether the estimate has an interval, whose ends can be
 * read. `rows` are layers of `a`, `columns` layers of `b`.
 */
export interface MatrixInfo {
  a: string;
  b: string;
  measure: string;
  rows: string[];
  columns: string[];
  low: number | null;
  high: number | null;
  warnings: string[];
  look: "exact" | "first";
  revision: number;
  interval: boolean;
}

/**
 * A matrix with its values, which are float64, little-endian, row after row, in base64.
 *
 * `interval_low` and `interval_high`, of the same form, are the ends of the interval of each
 * value, and null if there is no interval.
 */
export interface MatrixValues extends MatrixInfo {
  values: string;
  interval_low: string | null;
  interval_high: string | null;
}

/**
 * All snapshots of a log directory, and what is wrong with it.
 *
 * `supported` is false where the log directory cannot be read at all; `message` says why.
 * `alignments` are users' own numbers for layers of two of these snapshots, and `deleted` the ids
 * of those that were deleted on purpose.
 */
export interface Listing {
  snapshots: SnapshotInfo[];
  problems: Problem[];
  supported: boolean;
  message: string | null;
  alignments: AlignmentInfo[];
  deleted: string[];
}

/**
 * A snapshot in a listing.
 *
 * `images` is the number of items of the probe. `of_images` says whether these are images; if
 * not, their names stand for them. `unrenderable_because` is null if the snapshot is renderable.
 * Trainings of one model have the same `layers_digest`, which is of the names and the numbers of
 * units of the layers.
 */
export interface SnapshotInfo {
  id: string;
  run: string;
  name: string;
  step: number;
  wall_time: number;
  probe_id: string;
  layers: number;
  layers_digest: string;
  rows: number;
  images: number;
  digest: string;
  of_images: boolean;
  renderable: boolean;
  unrenderable_because: string | null;
}

/** What is wrong with a run or a file of the log directory. */
export interface Problem {
  where: string;
  message: string;
}

/** A user's own alignment of two snapshots, as a measure that these two alone have. */
export interface AlignmentInfo {
  a: string;
  b: string;
  measure: MeasureInfo;
}

/**
 * What a measure declares about itself.
 *
 * `low` and `high` are null where the measure has no bound on that side. Of a `distance`, less is
 * more alike. A measure that `wants_rows_over_units` is biased towards alike where a layer has
 * fewer than `rows_per_unit` rows for each unit. That is null where no number of rows is enough,
 * and 0 for a measure without that bias. `instead` names a measure without it. A menu lists it
 * under its `family`, and first of all where it has `advice`, a line on when to choose it. Its
 * `paper` is there as `bibtex` too, empty where it has none.
 */
export interface MeasureInfo {
  name: string;
  title: string;
  low: number | null;
  high: number | null;
  symmetric: boolean;
  distance: boolean;
  wants_rows_over_units: boolean;
  rows_per_unit: number | null;
  instead: string;
  family: string;
  advice: string;
  formula: string;
  paper: string;
  bibtex: string;
  summary: string;
}

/** All measures, and the one that the tab begins with. */
export interface Measures {
  measures: MeasureInfo[];
  default: string;
}

/**
 * A layer.
 *
 * `spatial` is the map that rows were sampled from, null if it has none. `op` and `block` (the
 * innermost that the layer is in) are null where the model's graph does not know them.
 */
export interface LayerInfo {
  name: string;
  units: number;
  rows: number;
  spatial: [number, number] | null;
  op: string | null;
  block: string | null;
  stats: LayerStatistics;
}

/**
 * One number per unit, over all rows of the probe: mean, maximum, share of rows above 0.
 *
 * `selectivity` is 0 for a unit that is as active in every row, 1 for one that is active in a
 * single row.
 */
export interface LayerStatistics {
  mean: number[];
  max: number[];
  active: number[];
  selectivity: number[];
}

/**
 * The images that excite a unit most.
 *
 * `tied` is the number of further images that equal the last. `ranked_by` is the layer before a
 * cap by which images of equal activation are put in order.
 */
export interface UnitInfo {
  top: TopImage[];
  tied: number;
  ranked_by: string | null;
  mean: number;
  max: number;
  active: number;
}

/**
 * An image that excites a unit.
 *
 * `u` is the relative position over the height, `v` over the width. `box` is what the layer sees
 * from there, as shares of the image: top, left, height, width. `before` is the value in the
 * layer `ranked_by`.
 */
export interface TopImage {
  image: number;
  name: string;
  value: number;
  u: number;
  v: number;
  box: [number, number, number, number] | null;
  before: number | null;
}

/** The pictures; the first is the source's. */
export interface AnalogiesResult {
  items: JobItem[];
}

/** `behaviour` is null unless both have outputs of equally many classes. */
export interface BehaviourResult {
  behaviour: BehaviourInfo | null;
}

/**
 * How alike two classifiers answer.
 *
 * `disagreement` is the share of images on which they name different classes, and
 * `jensen_shannon_divergence` how far their probabilities are from each other, in bits. The share
 * that each names rightly, `top_1`, and `error_consistency` (Cohen's κ of being right) are null
 * without labels.
 */
export interface BehaviourInfo {
  images: number;
  classes: number;
  disagreement: number;
  jensen_shannon_divergence: number;
  top_1: [number, number] | null;
  error_consistency: number | null;
}

/** The pictures. */
export interface CaricaturesResult {
  items: JobItem[];
}

/** The strongest first. The lists are empty where no unit varies, or images are too few. */
export interface LayerPairResult {
  unit_pairs: UnitPairInfo[];
  agree: ImageAgreement[];
  differ: ImageAgreement[];
}

/**
 * A unit of each layer, and the correlation of their activations over the probe's rows.
 *
 * Pairs are in the order of `trimmed`, for which each unit counts as its mean on the three images
 * on which it deviates most.
 */
export interface UnitPairInfo {
  a: number;
  b: number;
  correlation: number;
  trimmed: number;
}

/**
 * An image of the probe, and how alike both layers order the other images by distance to it.
 *
 * That is Spearman's correlation.
 */
export interface ImageAgreement {
  image: number;
  agreement: number;
}

/** The description of the table, whose values are in a file. */
export interface ModelsResult {
  cells: ModelsCells;
}

/**
 * A map of models: rows and columns are ids of snapshots.
 *
 * `places` is the number of layers of each model that were matched. `points` has the coordinates
 * of each model in the plane, and `stress` says how far they are from the distances.
 */
export interface ModelsCells {
  kind: "models";
  rows: string[];
  columns: string[];
  measure: string;
  title: string;
  low: number | null;
  high: number | null;
  distance: boolean;
  notes: string[];
  computed: number;
  found: number;
  matching: "depth" | "names";
  places: number;
  points: ([number, number])[];
  stress: number;
}

/**
 * Which array can be read.
 *
 * `shuffles` is the number of permutations of the images that the mean is over; null for all
 * that there are.
 */
export interface NullResult {
  rows: string[];
  columns: string[];
  arrays: string[];
  shuffles: number | null;
}

/**
 * For each of `layers`, the mean over the other trainings.
 *
 * It is null where the layer is constant in the model, or in all of the others. `same_in` has the
 * number of other trainings in which the layer has the very activations of the model, as a frozen
 * layer has: there the measure is that of the layer with itself.
 */
export interface SeedCeilingResult {
  layers: string[];
  values: (number | null)[];
  same_in: number[];
}

/**
 * The best prediction of each unit: R², and the index of the layer in `layers`.
 *
 * Both are null for a unit that is constant on the probe.
 */
export interface SharedUnitsResult {
  layers: string[];
  r2: (number | null)[];
  best: (number | null)[];
}

/**
 * What was computed; `array` gives each of `arrays`, with a row for each of `rows`.
 *
 * `family_p_value` is among them from 199 permutations on: for all these pairs together, each
 * below 0.05 in 5 % of comparisons of unrelated models. `interval_label` says what `low` and
 * `high` are for, and `warnings` what to keep in mind.
 */
export interface SignificanceResult {
  rows: string[];
  columns: string[];
  arrays: string[];
  permutations: number;
  resamples: number;
  interval_label: string;
  warnings: string[];
}

/** The description of the matrix, whose values are in a file. */
export interface SimilarityResult {
  matrix: MatrixInfo;
}

/** The description of the table, whose values are in a file. */
export interface StepMapResult {
  cells: StepMapCells;
}

/** A map of steps: rows and columns are ids of snapshots. */
export interface StepMapCells {
  kind: "steps";
  rows: string[];
  columns: string[];
  measure: string;
  title: string;
  low: number | null;
  high: number | null;
  distance: boolean;
  notes: string[];
  computed: number;
  found: number;
  layer_a: string;
  layer_b: string;
}

/** The description of the table, whose values are in a file. */
export interface TrendResult {
  cells: TrendCells;
}

/**
 * A trend: a row for each layer, a column for each step.
 *
 * `partners` has the layer of the reference that each row is compared with.
 */
export interface TrendCells {
  kind: "trend";
  rows: string[];
  columns: string[];
  measure: string;
  title: string;
  low: number | null;
  high: number | null;
  distance: boolean;
  notes: string[];
  computed: number;
  found: number;
  partners: string[];
  matching: "best" | "names";
  reference: string;
}

/** The arrays themselves, row after row, while a few pairs are being computed. */
export interface KnownSignificance {
  rows: string[];
  columns: string[];
  arrays: Record<string, ((number | null)[])[]>;
  interval_label: string;
}

export type JobRequest = AnalogiesRequest | BehaviourRequest | CaricaturesRequest | LayerPairRequest | ModelsRequest | NullRequest | SeedCeilingRequest | SharedUnitsRequest | SignificanceRequest | SimilarityRequest | StepMapRequest | TrendRequest;

export type CellsInfo = ModelsCells | StepMapCells | TrendCells;

/** What `read` asks for: the parameters of a route, and the record that it answers. */
export interface Answers {
  unit_renders: { query: { snapshot: string | number; layer: string | number }; answer: UnitRenders };
  job: { query: { id: string | number; watcher?: string | number }; answer: Job };
  matrix_info: { query: { id: string | number }; answer: MatrixInfo };
  similarity: { query: { id: string | number }; answer: MatrixValues };
  snapshots: { query: Record<string, never>; answer: Listing };
  measures: { query: Record<string, never>; answer: Measures };
  alignment: { query: { a: string | number; b: string | number; name: string | number }; answer: MatrixValues };
  layer: { query: { snapshot: string | number; layer: string | number }; answer: LayerInfo };
  unit: { query: { snapshot: string | number; layer: string | number; unit: string | number; limit?: string | number }; answer: UnitInfo };
}

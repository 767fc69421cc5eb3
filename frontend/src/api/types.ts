/**
 * What the server sends. The records come from the server's own; what they do not say (graphs,
 * and values that come as bytes) is here.
 */
import type {
  MatrixInfo,
  ModelsCells,
  NullResult,
  SharedUnitsResult,
  SignificanceResult,
  StepMapCells,
  TrendCells,
} from './generated';

export type {
  BestUnit,
  CellsInfo,
  DrawnDirection,
  Job,
  JobItem,
  JobRequest,
  KnownSignificance,
  LayerInfo,
  Listing,
  MatrixInfo,
  MeasureInfo,
  Measures,
  NamedError,
  Problem,
  SnapshotInfo,
  TopImage,
  UnitInfo,
} from './generated';

export type Significance = SignificanceResult;
export type Null = NullResult;
export type SharedUnits = SharedUnitsResult;

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

export type Box = [number, number, number, number];

export interface Matrix extends MatrixInfo {
  /** rows × columns, row after row. */
  values: Float64Array;
  /** Of an estimate: between which the exact values are. */
  ends?: { low: Float64Array; high: Float64Array } | null;
  /** In a report: how often permuted images give as much, of each pair. */
  p_values?: Float64Array | null;
}

interface Values {
  /** rows × columns, row after row; NaN where there is no value (yet). */
  values: Float64Array;
}

/** Layers of a run over its steps. */
export type TrendTable = TrendCells & Values;
/** Steps against steps. */
export type StepMapTable = StepMapCells & Values;
/** Models against models. */
export type ModelTable = ModelsCells & Values;

/** A table over many snapshots; `kind` says which of the three it is. */
export type Cells = TrendTable | StepMapTable | ModelTable;

"""What the tab reads, as records: from a server, or out of a report."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.log.alignments import Alignment
from tb_modelcompare.log.snapshot import Snapshot

if TYPE_CHECKING:  # scipy takes a while to import, and the server must start fast
    from tb_modelcompare.similarity import Comparison, Measure

OWN = "own:"
"""What the name of a measure begins with that is a user's own alignment."""


class SnapshotInfo(msgspec.Struct):
    """A snapshot in a listing.

    `images` is the number of items of the probe. `of_images` says whether these are images; if
    not, their names stand for them. `unrenderable_because` is null if the snapshot is renderable.
    Trainings of one model have the same `layers_digest`, which is of the names and the numbers of
    units of the layers.
    """

    id: str
    run: str
    name: str
    step: int
    wall_time: float
    probe_id: str
    layers: int
    layers_digest: str
    rows: int
    images: int
    digest: str
    of_images: bool
    renderable: bool
    unrenderable_because: str | None


class Problem(msgspec.Struct):
    """What is wrong with a run or a file of the log directory."""

    where: str
    message: str


class MeasureInfo(msgspec.Struct):
    """What a measure declares about itself.

    `low` and `high` are null where the measure has no bound on that side. Of a `distance`, less is
    more alike. A measure that `wants_rows_over_units` is biased towards alike where a layer has
    fewer than `rows_per_unit` rows for each unit. That is null where no number of rows is enough,
    and 0 for a measure without that bias. `instead` names a measure without it. A menu lists it
    under its `family`, and first of all where it has `advice`, a line on when to choose it. Its
    `paper` is there as `bibtex` too, empty where it has none.
    """

    name: str
    title: str
    low: float | None
    high: float | None
    symmetric: bool
    distance: bool
    wants_rows_over_units: bool
    rows_per_unit: float | None
    instead: str
    family: str
    advice: str
    formula: str
    paper: str
    bibtex: str
    summary: str


class AlignmentInfo(msgspec.Struct):
    """A user's own alignment of two snapshots, as a measure that these two alone have."""

    a: str
    b: str
    measure: MeasureInfo


class Listing(msgspec.Struct):
    """All snapshots of a log directory, and what is wrong with it.

    `supported` is false where the log directory cannot be read at all; `message` says why.
    `alignments` are users' own numbers for layers of two of these snapshots, and `deleted` the ids
    of those that were deleted on purpose.
    """

    snapshots: list[SnapshotInfo]
    problems: list[Problem]
    supported: bool
    message: str | None
    alignments: list[AlignmentInfo] = []
    deleted: list[str] = []


class Measures(msgspec.Struct):
    """All measures, and the one that the tab begins with."""

    measures: list[MeasureInfo]
    default: str


class MatrixInfo(msgspec.Struct):
    """A matrix without its values: the exact one, or a progressive estimate.

    `look` is "first" for a progressive estimate, whose `revision` counts up, and "exact" for the
    values themselves. `interval` says whether the estimate has an interval, whose ends can be
    read. `rows` are layers of `a`, `columns` layers of `b`.
    """

    a: str
    b: str
    measure: str
    rows: list[str]
    columns: list[str]
    low: float | None
    high: float | None
    warnings: list[str]
    estimate: Literal["first", "exact"] = msgspec.field(name="look")
    revision: int
    interval: bool


class MatrixValues(MatrixInfo):
    """A matrix with its values, which are float64, little-endian, row after row, in base64.

    `interval_low` and `interval_high`, of the same form, are the ends of the interval of each
    value, and null if there is no interval.
    """

    values: str
    interval_low: str | None = None
    interval_high: str | None = None


def snapshot_info(snapshot: Snapshot) -> SnapshotInfo:
    """A snapshot in a listing."""
    return SnapshotInfo(
        id=snapshot.id,
        run=snapshot.run,
        name=snapshot.name,
        step=snapshot.step,
        wall_time=snapshot.wall_time,
        probe_id=snapshot.probe_id,
        layers=len(snapshot.layers),
        layers_digest=_layers_digest(snapshot),
        rows=snapshot.rows,
        images=snapshot.probe_record.count,
        digest=snapshot.digest,
        of_images=snapshot.probe_record.is_of_images,
        renderable=snapshot.frozen is not None,
        unrenderable_because=None if snapshot.frozen else snapshot.why_no_frozen_graph,
    )


def _layers_digest(snapshot: Snapshot) -> str:
    named = msgspec.json.encode([(layer.name, layer.units) for layer in snapshot.layers])
    return hashlib.sha256(named).hexdigest()


def measure_info(measure: Measure) -> MeasureInfo:
    """What a measure declares about itself."""
    from tb_modelcompare.similarity.papers import bibtex

    return MeasureInfo(
        name=measure.name,
        title=measure.title,
        low=finite_bound(measure.low),
        high=finite_bound(measure.high),
        symmetric=measure.symmetric,
        distance=measure.distance,
        wants_rows_over_units=measure.wants_rows_over_units,
        rows_per_unit=finite_bound(measure.rows_per_unit),
        instead=measure.instead,
        family=measure.family,
        advice=measure.advice,
        formula=measure.formula,
        paper=measure.paper,
        bibtex=bibtex(measure.paper),
        summary=measure.summary,
    )


def matrix_info(
    a: Snapshot,
    b: Snapshot,
    measure: Measure,
    comparison: Comparison,
    *,
    exact: bool = True,
    revision: int = 1,
) -> MatrixInfo:
    """A matrix without its values: the exact one, or the estimate of this revision."""
    return MatrixInfo(
        a=a.id,
        b=b.id,
        measure=measure.name,
        rows=list(comparison.rows),
        columns=list(comparison.columns),
        low=finite_bound(measure.low),
        high=finite_bound(measure.high),
        warnings=list(comparison.warnings),
        estimate="exact" if exact else "first",
        revision=revision,
        interval=comparison.low is not None,
    )


def with_values(
    info: MatrixInfo,
    values: npt.NDArray[np.float64],
    low: npt.NDArray[np.float64] | None = None,
    high: npt.NDArray[np.float64] | None = None,
) -> MatrixValues:
    """The matrix with its values and, where it has an interval, the ends of that."""
    return MatrixValues(
        **msgspec.structs.asdict(info),
        values=_base64(values),
        interval_low=None if low is None else _base64(low),
        interval_high=None if high is None else _base64(high),
    )


def _base64(values: npt.NDArray[np.float64]) -> str:
    return base64.b64encode(values.astype("<f8").tobytes()).decode()


def own_measure(name: str, title: str, low: float, high: float) -> MeasureInfo:
    """A user's own numbers as a measure: nothing is known of it but its scale."""
    return MeasureInfo(
        name=name,
        title=title,
        low=low,
        high=high,
        symmetric=False,
        distance=False,
        wants_rows_over_units=False,
        rows_per_unit=0.0,
        instead="",
        family="Your own",
        advice="",
        formula="",
        paper="Your own values",
        bibtex="",
        summary="Numbers that you gave for pairs of layers.",
    )


def own_matrix(
    a: Snapshot, b: Snapshot, measure: MeasureInfo, rows: Sequence[str], columns: Sequence[str]
) -> MatrixInfo:
    """The matrix of a user's own numbers, without them."""
    return MatrixInfo(
        a=a.id,
        b=b.id,
        measure=measure.name,
        rows=list(rows),
        columns=list(columns),
        low=measure.low,
        high=measure.high,
        warnings=[],
        estimate="exact",
        revision=1,
        interval=False,
    )


def alignment_info(alignment: Alignment) -> AlignmentInfo:
    """A user's own alignment, whose measure is named so that it is none of ours."""
    name = f"{OWN}{alignment.name}"
    described = own_measure(name, alignment.name, alignment.low, alignment.high)
    return AlignmentInfo(alignment.a.id, alignment.b.id, described)


def finite_bound(value: float) -> float | None:
    """The bound of a measure; JSON has no infinity, so an infinite one is null."""
    return float(value) if math.isfinite(value) else None

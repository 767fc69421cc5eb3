"""A comparison with its permutation null, and with intervals over images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import RequestError
from tb_modelcompare.jobs.arrays import cancellable, read_layers, save_arrays, settings
from tb_modelcompare.jobs.kind import (
    FindSnapshot,
    Kind,
    LayerNames,
    MeasureName,
    SnapshotId,
    find_pair,
    identity,
    known_measure,
    not_empty,
)
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

if TYPE_CHECKING:
    from tb_modelcompare.similarity import Comparison

MAX_RESAMPLES = 1000

KNOWN_SECONDS = 1.5
"""From one report of what is known to the next."""

MAX_KNOWN = 256
"""Pairs up to which reports hold values; polls carry them."""

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_RESAMPLES)]


class Request(AnyRequest, frozen=True, tag="significance"):
    """The measure between these layers, its null by permutation of whole images of `b`, and an
    interval by resampling of images. Give `permutations`, `resamples` or both.
    """

    a: SnapshotId
    b: SnapshotId
    measure: MeasureName
    layers_a: LayerNames = None
    layers_b: LayerNames = None
    permutations: Count = 0
    resamples: Count = 0


@dataclass(frozen=True)
class Inputs:
    """Two snapshots of one probe, layers of each (None for all), and how much to compute."""

    a: Snapshot
    b: Snapshot
    measure: str
    layers_a: tuple[str, ...] | None
    layers_b: tuple[str, ...] | None
    permutations: int
    resamples: int


class Result(msgspec.Struct):
    """What was computed; `array` gives each of `arrays`, with a row for each of `rows`.

    `family_p_value` is among them from 199 permutations on: for all these pairs together, each
    below 0.05 in 5 % of comparisons of unrelated models. `interval_label` says what `low` and
    `high` are for, and `warnings` what to keep in mind.
    """

    rows: list[str]
    columns: list[str]
    arrays: list[str]
    permutations: int
    resamples: int
    interval_label: str
    warnings: list[str]


class KnownSignificance(msgspec.Struct):
    """The arrays themselves, row after row, while a few pairs are being computed."""

    rows: list[str]
    columns: list[str]
    arrays: dict[str, list[list[float | None]]]
    interval_label: str


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots and the layers, checked."""
    from tb_modelcompare.similarity.settings import LEAST_RESAMPLES

    a, b = find_pair(request.a, request.b, find)
    permutations, resamples = request.permutations, request.resamples
    inputs = Inputs(
        a,
        b,
        known_measure(request.measure),
        _in_order("layers_a", request.layers_a, a),
        _in_order("layers_b", request.layers_b, b),
        permutations,
        resamples,
    )
    if 0 < resamples < LEAST_RESAMPLES or not (permutations or resamples):
        raise RequestError(
            f"give permutations of at least 1, or resamples of at least {LEAST_RESAMPLES}"
        )
    return inputs


def content(inputs: Inputs) -> dict[str, Any]:
    """What the result depends on."""
    return {
        "a": identity(inputs.a),
        "b": identity(inputs.b),
        "measure": inputs.measure,
        "layers": [inputs.layers_a, inputs.layers_b],
        "permutations": inputs.permutations,
        "resamples": inputs.resamples,
    }


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Compare; where it takes long, and there are few pairs, report meanwhile what is known."""
    from tb_modelcompare.similarity import MEASURES
    from tb_modelcompare.similarity.engine import assess

    job, measure = workplace.progress, MEASURES[inputs.measure]
    job.publish(0.0, "reading activations", force=True)
    a, b = inputs.a, inputs.b
    layers = read_layers(a, inputs.layers_a or a.layer_names, b, inputs.layers_b or b.layer_names)
    counts = {"permutations": inputs.permutations, "resamples": inputs.resamples}
    asked = " and ".join(f"{count} {name}" for name, count in counts.items() if count)
    message = f"{asked} of the images" if asked else "values"
    found: Comparison | None = None
    with cancellable():
        for found in assess(
            layers.a,
            layers.b,
            measure,
            groups=layers.images,
            permutations=inputs.permutations,
            resamples=inputs.resamples,
            constant="drop",
            settings=settings(job, message),
            options={},
            every=KNOWN_SECONDS,
        ):
            if found.values.size <= MAX_KNOWN:
                arrays = {name: _as_json(values) for name, values in _arrays(found).items()}
                job.report["known"] = KnownSignificance(
                    list(found.rows), list(found.columns), arrays, found.interval_label
                )
                job.publish(job.fraction, message, force=True)
    assert found is not None
    return kept_result(found, inputs, workplace.directory)


def kept_result(found: Comparison, inputs: Inputs, directory: Path) -> Result:
    """The result, whose arrays it leaves in files."""
    return Result(
        list(found.rows),
        list(found.columns),
        save_arrays(_arrays(found), directory),
        inputs.permutations,
        inputs.resamples,
        found.interval_label,
        list(found.warnings),
    )


def _as_json(values: npt.NDArray[np.float64]) -> list[list[float | None]]:
    """Numbers, and null where a pair has none."""
    return [[None if np.isnan(value) else value for value in row] for row in values.tolist()]


def _arrays(comparison: Comparison) -> dict[str, npt.NDArray[np.float64]]:
    return {"values": comparison.values, **comparison.statistics()}


def _in_order(field: str, names: list[str] | None, snapshot: Snapshot) -> tuple[str, ...] | None:
    """The layers in topological order; None for all, also where each is named."""
    if not_empty(field, names) is None:
        return None
    chosen = {snapshot.layer(name).name for name in names or ()}
    some = tuple(name for name in snapshot.layer_names if name in chosen)
    return None if some == snapshot.layer_names else some


KIND = Kind(Request, prepare, content, run, Result, known=KnownSignificance)

"""How well each unit of one layer is predicted by layers of another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.jobs.kind import (
    FindSnapshot,
    Kind,
    LayerName,
    LayerNames,
    SnapshotId,
    find_pair,
    identity,
    not_empty,
)
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

FEW_LAYERS = 8
"""Up to so many layers, there is no first round."""

FIRST_RIDGE, FIRST_SHARE = 0.1, 0.2
"""Of the first round: one ridge for all layers, and the share of the work that it is."""


class Request(AnyRequest, frozen=True, tag="shared_units"):
    """How well each unit of a layer of `a` is predicted by `layers` of `b`, on images not fitted
    to; the best of these layers counts. They are tried in the order in which they are named.
    """

    a: SnapshotId
    layer: LayerName
    b: SnapshotId
    layers: LayerNames = None


@dataclass(frozen=True)
class Inputs:
    """A layer of one snapshot, and layers of another."""

    a: Snapshot
    layer: str
    b: Snapshot
    layers: tuple[str, ...]


class Result(msgspec.Struct):
    """The best prediction of each unit: R², and the index of the layer in `layers`.

    Both are null for a unit that is constant on the probe.
    """

    layers: list[str]
    r2: list[float | None]
    best: list[int | None]


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots and the layers, checked."""
    a, b = find_pair(request.a, request.b, find)
    layer = a.layer(request.layer).name
    named = not_empty("layers", request.layers)
    layers = b.layer_names if named is None else [b.layer(name).name for name in named]
    return Inputs(a, layer, b, tuple(dict.fromkeys(layers)))


def content(inputs: Inputs) -> dict[str, Any]:
    """What the result depends on."""
    return {
        "a": identity(inputs.a),
        "b": identity(inputs.b),
        "layer": inputs.layer,
        "layers": inputs.layers,
    }


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Predict all units by one layer after the other.

    Where there are many layers, all are tried first with one ridge, which costs a quarter. What
    is known is reported after each layer.
    """
    from tb_modelcompare.analogy.prediction import prediction_r2

    job = workplace.progress
    job.publish(0.0, "reading activations", force=True)
    layer, names = inputs.layer, inputs.layers
    units = np.asarray(inputs.a.activations(layer))
    images = inputs.a.image_of_row()
    varies = np.ptp(units, axis=0) > 0
    if not varies.any():
        raise ActivationError(
            f"no unit of {layer} varies on the probe: there is nothing to predict"
        )
    found = np.full((len(names), np.count_nonzero(varies)), -np.inf)

    def predict(message: str, begin: float, end: float, ridge: float | None) -> None:
        for done, name in enumerate(names):
            job.check()
            share = begin + (end - begin) * done / len(names)
            job.publish(share, f"{message} by layer {done + 1} of {len(names)}")
            found[done] = prediction_r2(
                inputs.b.activations(name), units[:, varies], groups=images, ridge=ridge
            )
            seen = len(names) if begin else done + 1
            job.report["known"] = _of_units(names[:seen], found[:seen], varies)

    first = FIRST_SHARE if len(names) > FEW_LAYERS else 0.0
    if first:
        predict(f"first estimate of the units of {layer}", 0.0, first, FIRST_RIDGE)
    predict(f"units of {layer}", first, 1.0, None)
    return _of_units(names, found, varies)


def _of_units(
    layers: Sequence[str], r2: npt.NDArray[np.float64], varies: npt.NDArray[np.bool_]
) -> Result:
    """Each unit's best prediction by these layers, None where a unit does not vary.

    `r2` has a row for each layer and a column for each unit that varies.
    """
    column = np.cumsum(varies) - 1
    value, best = r2.max(axis=0).tolist(), r2.argmax(axis=0).tolist()
    of_unit = [int(at) if able else None for at, able in zip(column, varies, strict=True)]
    return Result(
        list(layers),
        [None if at is None else value[at] for at in of_unit],
        [None if at is None else best[at] for at in of_unit],
    )


KIND = Kind(Request, prepare, content, run, Result)

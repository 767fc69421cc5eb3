"""What there is in two layers: their best unit pairs, and the images on which they agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.jobs.arrays import read_layers
from tb_modelcompare.jobs.kind import FindSnapshot, Kind, LayerName, SnapshotId, find_pair, identity
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

UNIT_PAIRS = 5
IMAGES = 4
"""Of each kind: on which the layers agree most, and least."""


class Request(AnyRequest, frozen=True, tag="layer_pair"):
    """The unit pairs of a layer of `a` and one of `b` that correlate most on many images, and the
    images of the probe on which these layers agree most and least.
    """

    a: SnapshotId
    layer_a: LayerName
    b: SnapshotId
    layer_b: LayerName


@dataclass(frozen=True)
class Inputs:
    """A layer of each of two snapshots."""

    a: Snapshot
    layer_a: str
    b: Snapshot
    layer_b: str


class UnitPairInfo(msgspec.Struct):
    """A unit of each layer, and the correlation of their activations over the probe's rows.

    Pairs are in the order of `trimmed`, for which each unit counts as its mean on the three images
    on which it deviates most.
    """

    a: int
    b: int
    correlation: float
    trimmed: float


class ImageAgreement(msgspec.Struct):
    """An image of the probe, and how alike both layers order the other images by distance to it.

    That is Spearman's correlation.
    """

    image: int
    agreement: float


class Result(msgspec.Struct):
    """The strongest first. The lists are empty where no unit varies, or images are too few."""

    unit_pairs: list[UnitPairInfo]
    agree: list[ImageAgreement]
    differ: list[ImageAgreement]


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots and the layers, checked."""
    a, b = find_pair(request.a, request.b, find)
    return Inputs(a, a.layer(request.layer_a).name, b, b.layer(request.layer_b).name)


def content(inputs: Inputs) -> dict[str, Any]:
    """What the result depends on."""
    return {
        "a": identity(inputs.a),
        "b": identity(inputs.b),
        "layers": [inputs.layer_a, inputs.layer_b],
    }


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Correlate the units, then the distances between images."""
    job = workplace.progress

    def follow(share: float, message: str) -> None:
        job.check()
        job.publish(share, message, force=True)

    return pair_details(inputs, follow)


def pair_details(inputs: Inputs, follow: Callable[[float, str], None]) -> Result:
    """What there is in the two layers; `follow` hears the share done and what is being done."""
    from tb_modelcompare.analogy.unit_pairs import best_unit_pairs
    from tb_modelcompare.similarity.agreement import LEAST_IMAGES, image_agreement

    follow(0.0, "reading activations")
    layers = read_layers(inputs.a, [inputs.layer_a], inputs.b, [inputs.layer_b])
    x, y = layers.a[inputs.layer_a], layers.b[inputs.layer_b]
    follow(0.2, "best unit pairs")
    pairs = best_unit_pairs(x, y, UNIT_PAIRS, groups=layers.images)
    follow(0.6, "images on which they agree")
    images = np.unique(layers.images)
    few = len(images) < LEAST_IMAGES
    agreement = np.empty(0) if few else image_agreement(x, y, layers.images)

    order = np.argsort(agreement, kind="stable")
    order = order[~np.isnan(agreement[order])]
    count = min(IMAGES, len(order) // 2)  # no image is among both

    def listed(some: npt.NDArray[np.intp]) -> list[ImageAgreement]:
        return [ImageAgreement(int(images[at]), float(agreement[at])) for at in some]

    return Result(
        [UnitPairInfo(pair.a, pair.b, pair.correlation, pair.trimmed) for pair in pairs],
        listed(order[::-1][:count]),
        listed(order[:count]),
    )


KIND = Kind(Request, prepare, content, run, Result)

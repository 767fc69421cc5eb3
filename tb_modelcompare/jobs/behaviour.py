"""How alike two classifiers of the same classes answer on the images of the probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tb_modelcompare.jobs.kind import FindSnapshot, Kind, SnapshotId, find_pair, identity
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot


class Request(AnyRequest, frozen=True, tag="behaviour"):
    """Compare the classes that `a` and `b` name."""

    a: SnapshotId
    b: SnapshotId


@dataclass(frozen=True)
class Inputs:
    """Two snapshots of one probe."""

    a: Snapshot
    b: Snapshot


class BehaviourInfo(msgspec.Struct):
    """How alike two classifiers answer.

    `disagreement` is the share of images on which they name different classes, and
    `jensen_shannon_divergence` how far their probabilities are from each other, in bits. The share
    that each names rightly, `top_1`, and `error_consistency` (Cohen's κ of being right) are null
    without labels.
    """

    images: int
    classes: int
    disagreement: float
    jensen_shannon_divergence: float
    top_1: tuple[float, float] | None
    error_consistency: float | None


class Result(msgspec.Struct):
    """`behaviour` is null unless both have outputs of equally many classes."""

    behaviour: BehaviourInfo | None


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots, checked."""
    return Inputs(*find_pair(request.a, request.b, find))


def content(inputs: Inputs) -> dict[str, Any]:
    """What the numbers depend on."""
    return {"a": identity(inputs.a), "b": identity(inputs.b)}


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """Read what both answer, and compare it."""
    from tb_modelcompare.compare.behaviour import behaviour_if_known

    workplace.progress.publish(0.0, "reading answers", force=True)
    found = behaviour_if_known(inputs.a, inputs.b)
    return Result(None if found is None else msgspec.convert(vars(found), BehaviourInfo))


KIND = Kind(Request, prepare, content, run, Result)

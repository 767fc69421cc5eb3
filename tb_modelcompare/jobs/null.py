"""The null of all pairs of layers of two models: the mean over permutations of the images."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.jobs.arrays import cancellable, read_layers, save_arrays, settings
from tb_modelcompare.jobs.kind import (
    FindSnapshot,
    Kind,
    MeasureName,
    SnapshotId,
    find_pair,
    identity,
    known_measure,
    result_key,
)
from tb_modelcompare.jobs.kind import Request as AnyRequest
from tb_modelcompare.jobs.runtime.progress import npy_bytes
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

PERMUTATIONS = 5
"""Of all layers of two models: each costs about as much as comparing them."""

_FILE = "values.npy"


class Request(AnyRequest, frozen=True, tag="chance"):
    """The mean of the measure between all layers when whole images of `b` are permuted: of linear
    CKA over all orders of the images, exactly and at once; of other measures over five.
    """

    a: SnapshotId
    b: SnapshotId
    measure: MeasureName


@dataclass(frozen=True)
class Inputs:
    """Two snapshots of one probe, and the name of a measure."""

    a: Snapshot
    b: Snapshot
    measure: str


class Result(msgspec.Struct):
    """Which array can be read.

    `shuffles` is the number of permutations of the images that the mean is over; null for all
    that there are.
    """

    rows: list[str]
    columns: list[str]
    arrays: list[str]
    permutations: int | None = msgspec.field(name="shuffles")


def prepare(request: Request, find: FindSnapshot) -> Inputs:
    """The snapshots, checked."""
    measure = known_measure(request.measure)
    return Inputs(*find_pair(request.a, request.b, find), measure)


def content(inputs: Inputs) -> dict[str, Any]:
    """What the null depends on."""
    return {"a": identity(inputs.a), "b": identity(inputs.b), "measure": inputs.measure}


def run(inputs: Inputs, workplace: Workplace) -> Result:
    """The mean of the null, in the file of the array `null_mean`."""
    from tb_modelcompare.similarity import MEASURES
    from tb_modelcompare.similarity.null_means import null_means

    cache, keys = workplace.cache, _keys_of_permutations(inputs)
    done = list(_kept(cache, keys))
    left = iter(keys[len(done) :])
    job = workplace.progress
    job.publish(0.0, "reading activations", force=True)
    layers = read_layers(inputs.a, inputs.a.layer_names, inputs.b, inputs.b.layer_names)
    with cancellable():
        found, permutations = null_means(
            layers.a,
            layers.b,
            MEASURES[inputs.measure],
            groups=layers.images,
            permutations=PERMUTATIONS,
            settings=settings(job, "the mean of the null"),
            done=done,
            keep=lambda values: cache.put(next(left), {_FILE: npy_bytes(values)}, {}),
        )
    arrays = save_arrays({"null_mean": found.values}, workplace.directory)
    return Result(list(found.rows), list(found.columns), arrays, permutations)


def _keys_of_permutations(inputs: Inputs) -> list[str]:
    """Under which the cache keeps what each permutation gives, so that a job that had to make way
    goes on from there."""
    return [
        result_key("null of one permutation", {**content(inputs), "permutation": number})
        for number in range(PERMUTATIONS)
    ]


def _kept(cache: ResultCache, keys: list[str]) -> Iterator[npt.NDArray[np.float64]]:
    """The values of the first permutations, up to the first that is not there."""
    for key in keys:
        stored = cache.read(key, _FILE)
        if stored is None:
            return
        yield np.load(io.BytesIO(stored), allow_pickle=False)


KIND = Kind(Request, prepare, content, run, Result)

"""What jobs share that leave arrays, by name, in files beside their result."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tb_modelcompare.jobs.runtime.progress import JobCancelledError, Progress, write_array
from tb_modelcompare.log.snapshot import Snapshot

if TYPE_CHECKING:
    from tb_modelcompare.similarity.settings import Settings


@dataclass(frozen=True)
class LayersOfTwo:
    """Layers of two models by name (rows × units), and the image of each row."""

    a: Mapping[str, npt.NDArray[np.float32]]
    b: Mapping[str, npt.NDArray[np.float32]]
    images: npt.NDArray[np.intp]


def read_layers(
    a: Snapshot, names_a: Sequence[str], b: Snapshot, names_b: Sequence[str]
) -> LayersOfTwo:
    """The layers; the same mapping twice where both are the same."""
    layers = {name: a.activations(name) for name in names_a}
    same = a.digest == b.digest and tuple(names_a) == tuple(names_b)
    others = layers if same else {name: b.activations(name) for name in names_b}
    return LayersOfTwo(layers, others, a.image_of_row())


def settings(job: Progress, message: str) -> Settings:
    """How the library reports to a job, and hears that it is cancelled."""
    from tb_modelcompare.similarity.settings import MEMORY, Settings

    return Settings("auto", MEMORY, lambda fraction: job.publish(fraction, message), job.cancelled)


@contextlib.contextmanager
def cancellable() -> Iterator[None]:
    """Say a comparison that was cancelled as a job says it."""
    from tb_modelcompare.similarity import ComparisonCancelled

    try:
        yield
    except ComparisonCancelled as error:
        raise JobCancelledError from error


def save_arrays(arrays: Mapping[str, npt.NDArray[np.float64]], directory: Path) -> list[str]:
    """Leave arrays in files; their names."""
    for name, values in arrays.items():
        write_array(directory / array_file(name), values.astype("<f8"))
    return list(arrays)


def array_file(name: str) -> str:
    """The file in which a job leaves an array."""
    return f"{name.replace('_', '-')}.npy"

"""What a user is told while a model is logged: progress, and what is not logged as asked."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tb_modelcompare.capture.contract import FrozenGraph, Recording
from tb_modelcompare.capture.receptive import ReceptiveField, receptive_fields
from tb_modelcompare.errors import CorruptSnapshotError, NotRenderableError
from tb_modelcompare.errors.checks import first_named
from tb_modelcompare.log.format import Dtype
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.sampling import Sampled

_NAMED = 10  # layers in one message


@dataclass(frozen=True, eq=False)
class LeftOut:
    """What was not logged as asked.

    Attributes
    ----------
    layers : mapping of str to str
        Those that hold NaN or infinity, and where. They have no activations in the snapshot, and
        stay in its graph.
    too_large : list of str
        Those that are kept as float32, as float16 cannot hold their values.
    """

    layers: Mapping[str, str]
    too_large: list[str] = field(default_factory=list)


def describe_left_out(left_out: Mapping[str, str]) -> str:
    """Which layers are not finite and from where on, the first ones by name, and what to do."""
    named = [f"layer {name!r} ({where})" for name, where in left_out.items()]
    verb = "holds" if len(named) == 1 else "hold"
    return (
        f"{first_named(named, _NAMED)} {verb} NaN, infinity or values beyond float32; check the "
        f"preprocessing, or compute in float32: float16 ends at 65504"
    )


def warn_of_left_out(name: str, left_out: LeftOut, stacklevel: int) -> None:
    """Warn the caller `stacklevel` calls above of what `write_snapshot` did not log as asked."""
    if left_out.layers:
        warnings.warn(
            f"{name!r} is logged without {len(left_out.layers)} of its layers: "
            f"{describe_left_out(left_out.layers)}",
            stacklevel=stacklevel,
        )
    if left_out.too_large:
        named = first_named(list(map(repr, left_out.too_large)), _NAMED)
        warnings.warn(
            f"{name!r}: kept as float32, as float16 ends at 65504: {named}",
            stacklevel=stacklevel,
        )


def frozen_or_why_not(name: str, recording: Recording) -> tuple[FrozenGraph | None, str | None]:
    """The frozen graph of a model, or what keeps it from having one, of which this warns."""
    try:
        return recording.freeze(), None
    except NotRenderableError as error:
        if not recording.probe.is_of_images:  # there is nothing that the user could change
            return None, str(error)
        warnings.warn(
            f"{name!r} is logged without a frozen graph, so nothing can be rendered: {error}",
            stacklevel=4,
        )
        return None, str(error)


def fields_of(frozen: FrozenGraph) -> dict[str, ReceptiveField]:
    """What the layers of a frozen graph see of an image; a graph that is invalid is warned of."""
    try:
        return receptive_fields(frozen)
    except (CorruptSnapshotError, NotRenderableError) as error:
        warnings.warn(
            f"what layers see of an image is not logged, so photos are not marked: {error}",
            stacklevel=4,
        )
        return {}


def with_progress(
    batches: Iterator[list[Sampled]], probe: Probe, batch_size: int, name: str, dtype: Dtype
) -> Iterator[list[Sampled]]:
    """Batches of a probe's images, under a progress bar; the first says what all will take."""
    from tqdm import tqdm

    count = len(probe)
    started = time.perf_counter()
    with contextlib.closing(tqdm(total=count, desc=name, unit="image")) as bar:
        for batch in batches:
            if bar.n == 0:
                seconds = (time.perf_counter() - started) * count / min(batch_size, count)
                tqdm.write(f"{name}: {_what_it_takes(batch, probe, seconds, dtype)}", sys.stderr)
            yield batch
            bar.update(min(batch_size, count - bar.n))


def say_accuracy(name: str, words: str) -> None:
    """Print how many images a classifier names rightly, if there is something to say of it."""
    if words:
        print(f"{name}: {words}", file=sys.stderr)


def _what_it_takes(batch: Sequence[Sampled], probe: Probe, seconds: float, dtype: Dtype) -> str:
    """How much time and room the activations of all images take, by those of the first batch."""
    units = sum(sampled.values.shape[1] for sampled in batch)
    size = probe.rows * units * np.dtype(dtype).itemsize / 1e6
    return (
        f"{len(batch)} layers, {units} units, {probe.rows} rows: {size:.3g} MB, and at most some "
        f"{seconds:.0f} s"
    )

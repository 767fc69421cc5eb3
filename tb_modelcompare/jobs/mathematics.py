"""What a worker computes beside the matrix: how sure its values are, and which units are shared.

numpy and scipy only. Tasks leave arrays in their directory, or numbers in their report.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.jobs.runtime.progress import JobCancelledError, Progress, write_array
from tb_modelcompare.log.reader import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot

if TYPE_CHECKING:
    from tb_modelcompare.similarity import Comparison
    from tb_modelcompare.similarity.settings import Settings

PERMUTATIONS = 5
"""Of all layers of two models: each costs about as much as comparing them."""

FIRST_SECONDS = 1.5
"""From one report of what is known to the next."""

FEW_LAYERS = 8
"""Up to so many, units are not looked at twice."""

FIRST_RIDGE, FIRST_SHARE = 0.1, 0.2
"""Of a first look at units: one ridge for all, and the share of the work that it is."""

MAX_KNOWN = 256
"""Pairs up to which reports hold values; polls carry them."""

_ARRAYS = ("values", "null_mean", "null_high", "p_value", "low", "high", "effective_rows")


def significance(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """A comparison with its permutation null, and with intervals over images.

    Where it takes long, and there are few pairs, what is known so far is reported meanwhile.
    """
    from tb_modelcompare.similarity import MEASURES
    from tb_modelcompare.similarity.engine import assess

    job = Progress(directory)
    layers_a, layers_b, images = _read_pair(job, payload)
    permutations, resamples = payload["permutations"], payload["resamples"]
    message = f"{permutations} permutations and {resamples} resamples of the images"
    found: Comparison | None = None
    with _cancellable():
        for found in assess(
            layers_a,
            layers_b,
            MEASURES[payload["measure"]],
            groups=images,
            permutations=permutations,
            resamples=resamples,
            constant="drop",
            settings=_settings(job, message),
            options={},
            every=FIRST_SECONDS,
        ):
            if found.values.size <= MAX_KNOWN:
                arrays = {name: values.tolist() for name, values in _arrays(found).items()}
                named = {"rows": list(found.rows), "columns": list(found.columns)}
                job.report["known"] = {**named, "arrays": arrays}
                job.publish(job.fraction, message, force=True)
    assert found is not None
    drawn = {"permutations": permutations, "resamples": resamples}
    return {**_saved(found, _arrays(found), directory), **drawn}


def chance(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """What all pairs of layers have under the null: the mean over permutations of images."""
    from tb_modelcompare.similarity import MEASURES
    from tb_modelcompare.similarity.engine import null_means

    job = Progress(directory)
    layers_a, layers_b, images = _read_pair(job, payload)
    with _cancellable():
        found, permutations = null_means(
            layers_a,
            layers_b,
            MEASURES[payload["measure"]],
            groups=images,
            permutations=PERMUTATIONS,
            settings=_settings(job, "the mean of the null"),
        )
    return {**_saved(found, {"null_mean": found.values}, directory), "shuffles": permutations}


def _read_pair(
    job: Progress, payload: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], npt.NDArray[np.intp]]:
    """Layers of both models, one mapping twice where they are the same, and each row's image."""
    job.publish(0.0, "reading activations", force=True)
    a, b = Snapshot.from_payload(payload["a"]), Snapshot.from_payload(payload["b"])
    require_same_probe(a, b)
    names_a = payload.get("layers_a") or a.layer_names
    names_b = payload.get("layers_b") or b.layer_names
    layers_a = {name: a.activations(name) for name in names_a}
    same = a.digest == b.digest and names_a == names_b
    layers_b = layers_a if same else {name: b.activations(name) for name in names_b}
    return layers_a, layers_b, _images(a)


def _settings(job: Progress, message: str) -> Settings:
    from tb_modelcompare.similarity.settings import MEMORY, Settings

    return Settings("auto", MEMORY, lambda fraction: job.publish(fraction, message), job.cancelled)


@contextlib.contextmanager
def _cancellable() -> Iterator[None]:
    from tb_modelcompare.similarity import ComparisonCancelled

    try:
        yield
    except ComparisonCancelled as error:
        raise JobCancelledError from error


def _arrays(comparison: Comparison) -> dict[str, npt.NDArray[np.float64]]:
    found = {name: getattr(comparison, name) for name in _ARRAYS}
    return {name: values for name, values in found.items() if values is not None}


def _saved(
    comparison: Comparison, arrays: dict[str, npt.NDArray[np.float64]], directory: Path
) -> dict[str, Any]:
    """Leave arrays in files; the report that names them."""
    for name, values in arrays.items():
        write_array(directory / array_file(name), values.astype("<f8"))
    rows, columns = list(comparison.rows), list(comparison.columns)
    return {"rows": rows, "columns": columns, "arrays": list(arrays)}


def array_file(name: str) -> str:
    """File in which a task leaves an array."""
    return f"{name.replace('_', '-')}.npy"


def shared_units(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """How well each unit of one layer is predicted by layers of another model.

    Of many layers, all are looked at first with one ridge, which costs a quarter; what is known is
    reported after each layer.
    """
    from tb_modelcompare.analogy.directions import prediction_r2

    job = Progress(directory)
    job.publish(0.0, "reading activations", force=True)
    a, b = Snapshot.from_payload(payload["a"]), Snapshot.from_payload(payload["b"])
    require_same_probe(a, b)
    layer, names = payload["layer"], payload["layers"]
    units = np.asarray(a.activations(layer))
    images = _images(a)
    varies = np.ptp(units, axis=0) > 0
    if not varies.any():
        raise ActivationError(
            f"no unit of {layer} varies on the probe: there is nothing to predict"
        )
    found = np.full((len(names), np.count_nonzero(varies)), -np.inf)

    def look(message: str, begin: float, end: float, ridge: float | None) -> None:
        for done, name in enumerate(names):
            job.check()
            share = begin + (end - begin) * done / len(names)
            job.publish(share, f"{message} by layer {done + 1} of {len(names)}")
            found[done] = prediction_r2(
                b.activations(name), units[:, varies], groups=images, ridge=ridge
            )
            seen = len(names) if begin else done + 1
            job.report["known"] = _of_units(names[:seen], found[:seen], varies)

    first = FIRST_SHARE if len(names) > FEW_LAYERS else 0.0
    if first:
        look(f"first look at units of {layer}", 0.0, first, FIRST_RIDGE)
    look(f"units of {layer}", first, 1.0, None)
    return _of_units(names, found, varies)


def _of_units(
    layers: Sequence[str], r2: npt.NDArray[np.float64], varies: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Each unit's best prediction by these layers, None where a unit does not vary.

    `r2` has a row for each layer and a column for each unit that varies.
    """
    column = np.cumsum(varies) - 1
    value, best = r2.max(axis=0).tolist(), r2.argmax(axis=0).tolist()
    of_unit = [int(at) if able else None for at, able in zip(column, varies, strict=True)]
    return {
        "layers": list(layers),
        "r2": [None if at is None else value[at] for at in of_unit],
        "best": [None if at is None else best[at] for at in of_unit],
    }


def _images(snapshot: Snapshot) -> npt.NDArray[np.intp]:
    """The image of each row: its positions are no independent rows."""
    return np.arange(snapshot.rows) // snapshot.probe_record.positions_per_image

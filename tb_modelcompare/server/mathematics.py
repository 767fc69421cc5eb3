"""What a worker computes beside the matrix: how sure its values are, and which units are shared.

numpy and scipy only. Tasks leave arrays in their directory, or numbers in their report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.server.progress import JobCancelledError, Progress
from tb_modelcompare.snapshot import Snapshot
from tb_modelcompare.store import require_same_probe

_ARRAYS = ("values", "null_mean", "null_high", "p_value", "low", "high", "effective_rows")


def significance(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """A comparison with its permutation null, and with intervals over images."""
    from tb_modelcompare.similarity import ComparisonCancelled, compare

    job = Progress(directory)
    job.publish(0.0, "reading activations", force=True)
    a, b = Snapshot.from_payload(payload["a"]), Snapshot.from_payload(payload["b"])
    require_same_probe(a, b)
    names_a = payload["layers_a"] or a.layer_names
    names_b = payload["layers_b"] or b.layer_names
    layers_a = {name: a.activations(name) for name in names_a}
    same = a.digest == b.digest and names_a == names_b
    layers_b = layers_a if same else {name: b.activations(name) for name in names_b}
    permutations, resamples = payload["permutations"], payload["resamples"]
    message = f"{permutations} shuffles and {resamples} resamples of the images"
    try:
        comparison = compare(
            layers_a,
            layers_b,
            payload["measure"],
            groups=_images(a),
            permutations=permutations,
            resamples=resamples,
            dead="drop",
            progress=lambda fraction: job.publish(fraction, message),
            cancelled=job.cancelled,
        )
    except ComparisonCancelled as error:
        raise JobCancelledError from error
    found = {name: getattr(comparison, name) for name in _ARRAYS}
    arrays = {name: values for name, values in found.items() if values is not None}
    for name, values in arrays.items():
        np.save(directory / array_file(name), values.astype("<f8"), allow_pickle=False)
    return {
        "rows": list(comparison.rows),
        "columns": list(comparison.columns),
        "permutations": permutations,
        "resamples": resamples,
        "arrays": list(arrays),
    }


def array_file(name: str) -> str:
    """File in which a task leaves an array."""
    return f"{name.replace('_', '-')}.npy"


def shared_units(payload: dict[str, Any], directory: Path) -> dict[str, Any]:
    """How well each unit of one layer is predicted by layers of another model."""
    from tb_modelcompare.analogy import prediction_r2

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
    best = np.full(units.shape[1], -1)
    r2 = np.full(units.shape[1], -np.inf)
    for done, name in enumerate(names):
        job.check()
        job.publish(done / len(names), f"units of {layer} by layer {done + 1} of {len(names)}")
        found = prediction_r2(b.activations(name), units[:, varies], groups=images)
        better = np.flatnonzero(varies)[found > r2[varies]]
        r2[varies] = np.maximum(r2[varies], found)
        best[better] = done
    return {
        "layers": list(names),
        "r2": [float(value) if able else None for value, able in zip(r2, varies, strict=True)],
        "best": [int(at) if able else None for at, able in zip(best, varies, strict=True)],
    }


def _images(snapshot: Snapshot) -> npt.NDArray[np.intp]:
    """The image of each row: its positions are no independent rows."""
    return np.arange(snapshot.rows) // snapshot.probe_record.positions_per_image

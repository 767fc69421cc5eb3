"""A comparison of two snapshots: the store's activations through the similarity library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tb_modelcompare.errors import RowsFewerThanUnitsWarning
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import Comparison, Estimate, Measure, compare, refine


def compare_snapshots(
    a: Snapshot,
    b: Snapshot,
    measure: Measure,
    *,
    layers: tuple[Sequence[str], Sequence[str]] | None = None,
    **options: Any,
) -> Comparison:
    """`measure` between the layers of two snapshots.

    A layer that is constant on the probe has no similarity to anything: it is left out, and
    the result's warnings say so, as they say where rows are too few for the units.

    Parameters
    ----------
    a, b : Snapshot
    measure : Measure
    layers : two sequences of str, optional
        Names of layers of a and of b. By default all of them.
    **options
        Of `similarity.compare`, such as `progress` and `resamples`.

    Raises
    ------
    ProbeMismatchError
        If the snapshots were made on different probes.
    ComparisonCancelled
        As soon as `cancelled` says so.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)  # told in the result
        layers_a, layers_b = _layers(a, b, layers)
        return compare(layers_a, layers_b, measure, **_of_probe(a), **options)


def refine_snapshots(
    a: Snapshot,
    b: Snapshot,
    measure: Measure,
    *,
    progress: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> Iterator[Estimate]:
    """Progressive estimates, where there are any, and at last what `compare_snapshots` gives."""
    layers_a, layers_b = _layers(a, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)
        yield from refine(
            layers_a, layers_b, measure, **_of_probe(a), progress=progress, cancelled=cancelled
        )


def _layers(
    a: Snapshot, b: Snapshot, layers: tuple[Sequence[str], Sequence[str]] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Activations by layer; one mapping twice where both are the same, which halves the work."""
    require_same_probe(a, b)
    of_a, of_b = layers or (a.layer_names, b.layer_names)
    layers_a = {name: a.activations(name) for name in of_a}
    if b.digest == a.digest and tuple(of_b) == tuple(of_a):
        return layers_a, layers_a
    return layers_a, {name: b.activations(name) for name in of_b}


def _of_probe(snapshot: Snapshot) -> dict[str, Any]:
    return {"groups": snapshot.image_of_row(), "constant": "drop"}

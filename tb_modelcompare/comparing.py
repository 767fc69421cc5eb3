"""A comparison of two snapshots: the store's activations through the similarity library."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from tb_modelcompare.errors import RowsFewerThanUnitsWarning
from tb_modelcompare.similarity import Comparison, Measure, compare
from tb_modelcompare.snapshot import Snapshot
from tb_modelcompare.store import require_same_probe


def compare_snapshots(
    a: Snapshot,
    b: Snapshot,
    measure: Measure,
    *,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Comparison:
    """`measure` between all layers of two snapshots.

    A layer that is constant on the probe has no similarity to anything: it is left out, and
    the result's warnings say so, as they say where rows are too few for the units.

    Raises
    ------
    ProbeMismatchError
        If the snapshots were made on different probes.
    ComparisonCancelled
        As soon as `cancelled` says so.
    """
    require_same_probe(a, b)
    layers_a = a.all_activations()
    layers_b = layers_a if b.digest == a.digest else b.all_activations()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)  # told in the result
        return compare(
            layers_a, layers_b, measure.name, dead="drop", progress=progress, cancelled=cancelled
        )

"""What the tab reads, as JSON values: from a server, or out of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tb_modelcompare.log.snapshot import Snapshot

if TYPE_CHECKING:  # scipy takes a while to import, and the server must start fast
    from tb_modelcompare.similarity import Comparison, Measure
    from tb_modelcompare.training import Metric, Work


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot in a listing."""
    return {
        "id": snapshot.id,
        "run": snapshot.run,
        "name": snapshot.name,
        "step": snapshot.step,
        "wall_time": snapshot.wall_time,
        "probe_id": snapshot.probe_id,
        "layers": len(snapshot.layers),
        "rows": snapshot.rows,
        "images": snapshot.probe_record.count,
        "digest": snapshot.digest,
        "of_images": snapshot.probe_record.is_of_images,
        "renderable": snapshot.frozen is not None,
        "unrenderable_because": None if snapshot.frozen else snapshot.why_no_frozen_graph,
    }


def measure_json(measure: Measure) -> dict[str, Any]:
    """What a measure declares about itself."""
    return {
        "name": measure.name,
        "title": measure.title,
        "low": _bound(measure.low),
        "high": _bound(measure.high),
        "symmetric": measure.symmetric,
        "distance": measure.distance,
        "wants_rows_over_units": measure.wants_rows_over_units,
        "formula": measure.formula,
        "paper": measure.paper,
        "summary": measure.summary,
    }


def matrix_info_json(
    a: Snapshot,
    b: Snapshot,
    measure: Measure,
    comparison: Comparison,
    *,
    exact: bool = True,
    revision: int = 1,
) -> dict[str, Any]:
    """A matrix, less its values: the exact one, or the first look of this revision."""
    return {
        "a": a.id,
        "b": b.id,
        "measure": measure.name,
        "rows": list(comparison.rows),
        "columns": list(comparison.columns),
        "low": _bound(measure.low),
        "high": _bound(measure.high),
        "warnings": list(comparison.warnings),
        "look": "exact" if exact else "first",
        "revision": revision,
        "interval": comparison.low is not None,
    }


def cells_json(
    kind: str,
    rows: Sequence[str],
    columns: Sequence[str],
    measure: Measure | Metric,
    work: Work,
    **more: Any,
) -> dict[str, Any]:
    """Values over many snapshots, less the values themselves."""
    described = {
        "kind": kind,
        "rows": list(rows),
        "columns": list(columns),
        "measure": measure.name,
        "title": measure.title,
        "low": _bound(measure.low),
        "high": _bound(measure.high),
        "distance": measure.distance,
        "notes": list(work.notes),
        "computed": work.computed,
        "found": work.found,
        **more,
    }
    return {"cells": described}


def _bound(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None

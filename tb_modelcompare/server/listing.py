"""The listing of a log directory, as the tab reads it."""

from __future__ import annotations

from typing import Any

from tb_modelcompare.compare.wire import snapshot_json
from tb_modelcompare.server.catalog import Contents


def listing_json(contents: Contents) -> dict[str, Any]:
    """All snapshots of a log directory, and what is wrong with it."""
    listed = list(map(snapshot_json, contents.snapshots.values()))
    listed.sort(key=lambda one: (one["run"], one["name"], one["step"]))
    return {
        "snapshots": listed,
        "problems": [{"where": p.where, "message": p.message} for p in contents.problems],
        "supported": contents.message is None,
        "message": contents.message,
    }

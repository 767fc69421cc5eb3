"""Logs as a hostile writer would alter them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tb_modelcompare.log.events import EventFile, index_event
from tb_modelcompare.log.index import content_digest
from tb_modelcompare.log.snapshot import Snapshot

Index = dict[str, Any]


def relog(run: Path, change: Callable[[Index], object], source: Snapshot) -> None:
    """Record an altered index, its digest made to fit, as a hostile writer would."""
    index = json.loads(json.dumps(source.index))
    index["name"] = "altered"
    change(index)
    index["digest"] = content_digest(index)
    events = EventFile(run)
    events.write(index_event("altered", 0, time.time(), json.dumps(index)))
    events.close()


def layer_file(snapshot: Snapshot, layer: str) -> Path:
    return Path(snapshot.run_dir) / snapshot.layer(layer).asset.path

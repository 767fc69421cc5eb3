"""Logs as a hostile writer would alter them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tb_modelcompare.log.assets import Asset
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
    """The file that holds a layer, be it among others."""
    return Path(snapshot.run_dir) / snapshot.layer(layer).asset.path


def layer_bytes(snapshot: Snapshot, layer: str) -> bytes:
    """What a layer is in its file: a header, and values."""
    asset = snapshot.layer(layer).asset
    start = asset.offset or 0
    return layer_file(snapshot, layer).read_bytes()[start : start + asset.bytes]


def write_layer(snapshot: Snapshot, layer: str, content: bytes) -> Asset:
    """Put other bytes in the place of a layer's; the asset that a hostile index would name."""
    asset = snapshot.layer(layer).asset
    content = content.ljust(asset.bytes, b"\0")
    with open(layer_file(snapshot, layer), "r+b") as stream:
        stream.seek(asset.offset or 0)
        stream.write(content)
    return replace(asset, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

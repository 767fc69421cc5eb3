"""A user's own alignments: numbers for pairs of layers, written beside snapshots and read again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import CorruptSnapshotError, MissingAssetError, OptionError
from tb_modelcompare.log.arrays import stored_array
from tb_modelcompare.log.assets import (
    PARTIAL_PREFIX,
    Asset,
    assembling,
    describe,
    publish,
    slug,
    writing_to,
)
from tb_modelcompare.log.bounds import expect, is_count, is_time
from tb_modelcompare.log.format import ASSET_ROOT
from tb_modelcompare.log.hashing import open_regular
from tb_modelcompare.log.runs import Problem
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.log.text import escaped, parse_json

FOLDER = f"{ASSET_ROOT}/alignments"

_VERSION = 1
_RECORD, _VALUES = "alignment.json", "values.npy"
_MAX_RECORD_BYTES = 2**16
_MAX_ARRAY_BYTES = 2**26
_MAX_OF_A_RUN = 1000

# A run and a name and a step, which tell what an alignment is of; and the digest of what was there.
_Key = tuple[str, str, int]


@dataclass(frozen=True)
class Alignment:
    """A user's own numbers for the layers of two snapshots.

    Attributes
    ----------
    name : str
        What the user calls it.
    a, b : Snapshot
    low, high : float
        The ends of its scale: 0 and 1, or further where a number is.
    wall_time : float
        When it was added, in seconds since 1970.
    run_dir : str
        Of the run that holds it.
    asset : Asset
    """

    name: str
    a: Snapshot
    b: Snapshot
    low: float
    high: float
    wall_time: float
    run_dir: str
    asset: Asset

    def values(self) -> npt.NDArray[np.float64]:
        """The numbers (layers of a, layers of b), NaN where a pair has none.

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            If the file is not there, or not what was written.
        """
        shape = (len(self.a.layers), len(self.b.layers))
        values = stored_array(self.asset, self.run_dir, "<f8", shape)[:]
        there = values[~np.isnan(values)]
        expect(
            there.size > 0 and bool((there >= self.low).all() and (there <= self.high).all()),
            f"alignment {self.name!r:.200} holds no number, or one beyond its scale; add it again",
        )
        return values


def write_alignment(
    run_dir: Path, name: str, a: Snapshot, b: Snapshot, values: npt.NDArray[np.float64]
) -> None:
    """Write an alignment to a run, in the place of a former one of this name and these snapshots.

    Raises
    ------
    OptionError
        If it has too many pairs of layers.
    LogDirectoryError
        If it cannot be written; a former one is left then.
    """
    if values.nbytes > _MAX_ARRAY_BYTES - 1024:
        raise OptionError(
            f"{values.shape[0]} × {values.shape[1]} pairs of layers are more than the "
            f"{_MAX_ARRAY_BYTES // 8:,} of one alignment; log fewer layers"
        )
    of = {side: _reference(one, run_dir) for side, one in (("a", a), ("b", b))}
    digest = hashlib.sha256(json.dumps([name, of]).encode()).hexdigest()
    folder = f"{slug(name)}-{digest[:16]}"
    with assembling(run_dir / FOLDER) as partial, writing_to(run_dir):
        np.save(partial / _VALUES, np.ascontiguousarray(values, "<f8"), allow_pickle=False)
        record = {
            "version": _VERSION,
            "name": name,
            "wall_time": time.time(),
            **{side: {**of[side], "digest": one.digest} for side, one in (("a", a), ("b", b))},
            "low": min(0.0, float(np.nanmin(values))),
            "high": max(1.0, float(np.nanmax(values))),
            "values": describe(partial / _VALUES, f"{FOLDER}/{folder}/{_VALUES}").to_json(),
        }
        (partial / _RECORD).write_text(json.dumps(record, allow_nan=False), encoding="utf-8")
        publish(partial, run_dir / FOLDER / folder)


def read_alignments(
    run_dirs: Iterable[Path], snapshots: Iterable[Snapshot]
) -> tuple[tuple[Alignment, ...], list[Problem]]:
    """The alignments in these runs of these snapshots, and what is wrong with others.

    One of snapshots that are not among these is passed over: a reader may see a part of the logs.
    Of several with one name and of the same snapshots, the latest counts.
    """
    known = {(os.path.realpath(s.run_dir), s.name, s.step): s for s in snapshots}
    latest: dict[tuple[str, str, str], Alignment] = {}
    problems: list[Problem] = []
    for run_dir in run_dirs:
        for entry in _entries(run_dir, problems):
            try:
                found = _aligned(run_dir, _record(entry), known)
            except (CorruptSnapshotError, MissingAssetError) as error:
                problems.append(Problem(escaped(entry), str(error)))
                continue
            if found is None:
                continue
            key = (found.name, found.a.id, found.b.id)
            if key not in latest or found.wall_time >= latest[key].wall_time:
                latest[key] = found
    ordered = sorted(latest.values(), key=lambda one: (one.name, one.a.id, one.b.id))
    return tuple(ordered), problems


def _entries(run_dir: Path, problems: list[Problem]) -> Iterator[Path]:
    folder = run_dir / FOLDER
    try:
        with os.scandir(folder) as entries:
            names = sorted(one.name for one in entries if not one.name.startswith(PARTIAL_PREFIX))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        problems.append(Problem(escaped(folder), f"cannot be read ({error.strerror})"))
        return
    if len(names) > _MAX_OF_A_RUN:
        message = f"holds {len(names)} alignments; only {_MAX_OF_A_RUN} are read"
        problems.append(Problem(escaped(folder), message))
    yield from (folder / name for name in names[:_MAX_OF_A_RUN])


def _record(folder: Path) -> dict[str, Any]:
    """What an alignment says of itself, which anyone may have written."""
    file = folder / _RECORD
    try:
        with open_regular(file) as stream:
            content = stream.read(_MAX_RECORD_BYTES + 1)
    except OSError as error:
        raise MissingAssetError(
            f"{_RECORD} cannot be read ({error.strerror}); add the alignment again"
        ) from error
    return _parsed(content)


@functools.lru_cache(maxsize=4096)
def _parsed(content: bytes) -> dict[str, Any]:
    expect(len(content) <= _MAX_RECORD_BYTES, f"{_RECORD} is longer than {_MAX_RECORD_BYTES} bytes")
    try:
        record = parse_json(content)
    except ValueError as error:
        raise CorruptSnapshotError(f"{_RECORD} is not JSON ({error}); add it again") from error
    expect(isinstance(record, dict), f"{_RECORD} is not a JSON object")
    version = record.get("version")
    expect(
        version == _VERSION,
        f"{_RECORD} has version {version!r:.50} and this is a reader of version {_VERSION}; "
        f"update tb-modelcompare, or add the alignment again",
    )
    name, low, high = record.get("name"), record.get("low"), record.get("high")
    expect(
        isinstance(name, str) and 0 < len(name.strip()) <= 200 and name.isprintable(),
        f"{_RECORD}: bad name {name!r:.250}",
    )
    expect(is_time(record.get("wall_time")), f"{_RECORD}: bad wall_time")
    expect(
        _is_number(low) and _is_number(high) and low < high,
        f"{_RECORD}: bad scale {low!r:.50} to {high!r:.50}",
    )
    for side in ("a", "b"):
        of = record.get(side)
        expect(
            isinstance(of, dict)
            and all(isinstance(of.get(field), str) for field in ("run", "name", "digest"))
            and "\0" not in of["run"]
            and is_count(of.get("step")),
            f"{_RECORD}: {side} names no snapshot",
        )
    asset = Asset.from_json(record.get("values"), "values of the alignment")
    expect(
        asset.bytes <= _MAX_ARRAY_BYTES, f"{_RECORD}: its values claim {asset.bytes} bytes; refused"
    )
    return {**record, "values": asset}


def _is_number(value: Any) -> bool:
    """Whether a JSON value is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e300


def _aligned(
    run_dir: Path, record: Mapping[str, Any], known: Mapping[_Key, Snapshot]
) -> Alignment | None:
    """An alignment with its snapshots; None if one of them is not known here."""
    found = []
    for of in (record["a"], record["b"]):
        path = os.path.realpath(os.path.join(run_dir, *of["run"].split("/")))
        snapshot = known.get((path, of["name"], of["step"]))
        if snapshot is None:
            return None
        expect(
            snapshot.digest == of["digest"],
            f"{record['name']!r} is of other activations than those that {snapshot.id} has now; "
            f"add the alignment again",
        )
        found.append(snapshot)
    a, b = found
    low, high = float(record["low"]), float(record["high"])
    return Alignment(
        record["name"], a, b, low, high, record["wall_time"], str(run_dir), record["values"]
    )


def _reference(snapshot: Snapshot, run_dir: Path) -> dict[str, Any]:
    """A snapshot as seen from a run, so that logs can be moved together."""
    path = os.path.relpath(os.path.realpath(snapshot.run_dir), os.path.realpath(run_dir))
    return {"run": path.replace(os.sep, "/"), "name": snapshot.name, "step": snapshot.step}

"""Which snapshots a log directory holds, without TensorFlow and without TensorBoard running."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tb_modelcompare.disk.assets import PARTIAL_PREFIX
from tb_modelcompare.disk.events import EventScan, read_index_records
from tb_modelcompare.errors import (
    CorruptSnapshotError,
    LogDirectoryError,
    ProbeMismatchError,
    UnknownSnapshotError,
)
from tb_modelcompare.metadata import ASSET_ROOT
from tb_modelcompare.snapshot import Snapshot, nearest, snapshot_from_index

__all__ = [
    "Listing",
    "Problem",
    "Snapshot",
    "is_removed",
    "list_snapshots",
    "open_snapshot",
    "open_steps",
    "require_same_probe",
    "snapshot_from_index",
]

# A writer that has been silent for so long was stopped: while it computes activations, and
# between the assets' appearance and their index.
_PARTIAL_SECONDS = 3600
_UNNAMED_SECONDS = 60

_MAX_CACHED = 4_000
_scans: dict[tuple[str, int], EventScan] = {}
_parsed: dict[tuple[str, str, bytes], Snapshot] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Problem:
    """Something in a log directory that cannot be used; the rest can."""

    where: str
    message: str


@dataclass(frozen=True)
class Listing:
    """Snapshots in order of run, name and step, and what could not be read."""

    snapshots: tuple[Snapshot, ...]
    problems: tuple[Problem, ...]


def list_snapshots(logdir: str | Path) -> Listing:
    """All snapshots under `logdir`; where one was logged again, the latest.

    Cheap when repeated: event files are read on from where reading stopped.

    Raises
    ------
    LogDirectoryError
        If `logdir` is no directory, or a remote one.
    """
    root = local_directory(logdir)
    if not root.is_dir():
        raise LogDirectoryError(f"{root} is no directory; give the one that models were logged to")
    latest: dict[str, Snapshot] = {}
    problems: list[Problem] = []
    for run, directory, files in _runs(root):
        used: set[str] = set()
        for file in files:
            scan = _scan(file)
            if scan.problem:
                problems.append(Problem(str(file), f"event file {scan.problem}"))
            for record in scan.records:
                try:
                    snapshot = _snapshot(str(directory), run, record.text)
                except CorruptSnapshotError as error:
                    problems.append(Problem(f"{run}/{record.tag}@{record.step}", str(error)))
                    continue
                used.add(os.path.dirname(snapshot.graph_asset.path))
                if is_removed(snapshot):
                    continue
                before = latest.get(snapshot.id)
                if before is None or snapshot.wall_time >= before.wall_time:
                    latest[snapshot.id] = snapshot
        problems.extend(orphans(directory, used))
    ordered = sorted(latest.values(), key=lambda s: (s.run, s.name, s.step))
    return Listing(tuple(ordered), tuple(problems))


def open_snapshot(logdir: str | Path, name: str) -> Snapshot:
    """The snapshot called `name`: RUN, RUN@STEP, RUN/NAME or RUN/NAME@STEP.

    Without a step, the last one. RUN stands for the only model in that run.

    Raises
    ------
    UnknownSnapshotError
        If there is none, or more than one model fits, listing what there is.
    """
    return open_steps(logdir, name)[-1]


def open_steps(logdir: str | Path, name: str) -> list[Snapshot]:
    """All snapshots that `name` stands for, of one model, in order of step.

    One for RUN@STEP, RUN/NAME@STEP or an id, all of a model for RUN and RUN/NAME.

    Raises
    ------
    UnknownSnapshotError
        If there is none, or more than one model fits, listing what there is.
    """
    listing = list_snapshots(logdir)
    for snapshot in listing.snapshots:
        if snapshot.id == name:
            return [snapshot]
    matches = [s for s in listing.snapshots if name in _aliases(s)]
    models = {(s.run, s.name) for s in matches}
    if len(models) > 1:
        ids = ", ".join(s.id for s in matches)
        raise UnknownSnapshotError(f"{name!r} in {logdir} fits several snapshots: {ids}; give one")
    if matches:
        return sorted(matches, key=lambda s: s.step)
    ids_there = tuple(s.id for s in listing.snapshots)
    hint = "".join(f"; {p.where}: {p.message}" for p in listing.problems[:3])
    raise UnknownSnapshotError(
        f"no snapshot {name!r} in {logdir}; {nearest(name, ids_there)}{hint}"
    )


def is_removed(snapshot: Snapshot) -> bool:
    """Whether the files of a snapshot were deleted on purpose: their directory is empty."""
    directory = os.path.join(snapshot.run_dir, os.path.dirname(snapshot.graph_asset.path))
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def require_same_probe(a: Snapshot, b: Snapshot) -> None:
    """Refuse to relate rows that are not of the same images and positions.

    Raises
    ------
    ProbeMismatchError
        Naming both snapshots and both probe ids.
    """
    if a.probe_id != b.probe_id:
        raise ProbeMismatchError(
            f"{a.id} was logged on probe {a.probe_id[:16]} ({a.rows} rows) and {b.id} on "
            f"{b.probe_id[:16]} ({b.rows} rows); log both with one Probe"
        )


def local_directory(logdir: str | Path) -> Path:
    """`logdir` as an absolute path on this machine.

    Raises
    ------
    LogDirectoryError
        If it is a remote address such as gs://….
    """
    text = os.fspath(logdir)
    if "://" in text:
        raise LogDirectoryError(
            f"{text} is a remote directory, which is not supported yet; log to a local one "
            f"and copy it, or mount it"
        )
    return Path(os.path.abspath(os.path.expanduser(text)))


def _aliases(snapshot: Snapshot) -> set[str]:
    run, name, step = snapshot.run, snapshot.name, snapshot.step
    model = snapshot.id.rpartition("@")[0]
    return {run, f"{run}@{step}", model, f"{run}/{name}", f"{run}/{name}@{step}"}


def _runs(root: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Directories with event files, as TensorBoard names them; links are followed once."""
    seen: set[str] = set()
    for parent, directories, files in os.walk(root, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            directories.clear()
            continue
        seen.add(real)
        directories.sort()
        if parent.endswith(os.sep + ASSET_ROOT.replace("/", os.sep)):
            directories.clear()
            continue
        events = sorted(Path(parent, name) for name in files if "tfevents" in name)
        if events:
            yield os.path.relpath(parent, root), Path(parent), events


def _scan(file: Path) -> EventScan:
    with _lock:
        status = file.stat()
        key = (str(file), status.st_ino)
        before = _scans.get(key)
        if before and before.offset == status.st_size:
            return before
        if before is None or before.offset > status.st_size:
            before = EventScan((), 0, None)
        more = read_index_records(file, before.offset)
        scan = EventScan(before.records + more.records, more.offset, more.problem)
        if len(_scans) >= _MAX_CACHED:
            _scans.clear()
        _scans[key] = scan
        return scan


def _snapshot(run_dir: str, run: str, text: bytes) -> Snapshot:
    key = (run_dir, run, text)
    snapshot = _parsed.get(key)
    if snapshot is None:
        snapshot = snapshot_from_index(run_dir, run, text)
        if len(_parsed) >= _MAX_CACHED:
            _parsed.clear()
        _parsed[key] = snapshot
    return snapshot


def orphans(run_dir: Path, used: set[str]) -> Iterator[Problem]:
    """Assets that no index names: their writer was stopped before it wrote one."""
    snapshots = run_dir / ASSET_ROOT / "snapshots"
    if not snapshots.is_dir():
        return
    for entry in sorted(snapshots.iterdir()):
        if f"{ASSET_ROOT}/snapshots/{entry.name}" in used:
            continue
        partial = entry.name.startswith(PARTIAL_PREFIX)
        patience = _PARTIAL_SECONDS if partial else _UNNAMED_SECONDS
        if time.time() - entry.stat().st_mtime > patience:
            yield Problem(
                str(entry), "no index names these files, so their writer was stopped; delete them"
            )

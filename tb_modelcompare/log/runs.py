"""From entries of a file system to runs: what cannot be read is a problem, not an error."""

from __future__ import annotations

import math
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tb_modelcompare.log.assets import PARTIAL_PREFIX
from tb_modelcompare.log.format import ARRAYS_FOLDER, ASSET_ROOT
from tb_modelcompare.log.records import TORN, EventScan, IndexRecord, read_index_records
from tb_modelcompare.log.text import escaped, is_text

# A writer that has been silent for so long was stopped, or its records are elsewhere: while it
# computes activations, and between the assets' appearance and their index.
_PARTIAL_SECONDS = 3600
_UNNAMED_SECONDS = 60
# A record of which a part is there may be whole a moment later, if the file was just written.
_MOMENTS = (0.01, 0.02, 0.04, 0.08)
_RECENT_SECONDS = 2

_MAX_SCANS = 4_000
_scans: dict[tuple[str, int], EventScan] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Problem:
    """Something in a log directory that cannot be used; the rest can."""

    where: str
    message: str


@dataclass(frozen=True)
class RunScan:
    """What the event files of one directory hold.

    `whole` says that every one was read to its end and that nothing was wrong with it: only
    then does it mean something that no record names a file.
    """

    records: tuple[IndexRecord, ...] = ()
    problems: tuple[Problem, ...] = ()
    whole: bool = False


def find_runs(root: Path) -> tuple[list[tuple[str, Path]], list[Problem]]:
    """Directories with event files, as TensorBoard names them, and what could not be looked into.

    Links are followed, and each directory is visited once.
    """
    runs: list[tuple[str, Path]] = []
    problems: list[Problem] = []
    waiting, seen = [root], set()
    while waiting:
        directory = waiting.pop()
        try:
            status = os.stat(directory)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(directory) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:  # deleted meanwhile
            continue
        except OSError as error:
            problems.append(_unreadable(directory, error))
            continue
        inside = [entry.name for entry in listed if _is_directory(entry)]
        if not directory.match(f"*/{ASSET_ROOT}"):
            waiting.extend(directory / name for name in reversed(inside))
        if {entry.name for entry in listed if "tfevents" in entry.name} - set(inside):
            name = os.path.relpath(directory, root)
            if is_text(str(directory)):
                runs.append((name, directory))
            else:
                problems.append(
                    Problem(
                        escaped(directory), "the name of this directory is not UTF-8; rename it"
                    )
                )
    return runs, problems


def scan_run(directory: Path, deadline: float = math.inf) -> RunScan:
    """Our index records in the event files of a directory.

    Cheap when repeated: each file is read on from where reading stopped, at the latest at the
    time `deadline` (of `time.monotonic`).
    """
    try:
        names = sorted(name for name in os.listdir(directory) if "tfevents" in name)
    except OSError as error:
        return RunScan(problems=(_unreadable(directory, error),))
    records: list[IndexRecord] = []
    problems: list[Problem] = []
    whole = True
    for name in names:
        file = directory / name
        if file.is_dir():
            continue
        try:
            scan = _scan(file, deadline)
        except OSError as error:
            if os.path.lexists(file):  # else it was deleted meanwhile
                problems.append(_unreadable(file, error))
                whole = False
            continue
        records.extend(scan.records)
        whole = whole and scan.whole
        if scan.problem:
            problems.append(Problem(escaped(file), f"event file {scan.problem}"))
    return RunScan(tuple(records), tuple(problems), whole)


def unlisted(directory: Path, scan: RunScan) -> Iterator[Problem]:
    """Assets of a run that no index names: their writer is at work, or was stopped.

    Nothing is said of a run that was not read whole: a record may yet name them.
    """
    if not scan.whole:
        return
    named = frozenset[str]().union(*(record.folders for record in scan.records))
    snapshots = directory / ASSET_ROOT / "snapshots"
    try:
        with os.scandir(snapshots) as entries:
            left = sorted(entry.name for entry in entries if entry.name not in named)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield _unreadable(snapshots, error)
        return
    for name in left:
        patience = _PARTIAL_SECONDS if name.startswith(PARTIAL_PREFIX) else _UNNAMED_SECONDS
        try:
            age = time.time() - os.lstat(snapshots / name).st_mtime
        except OSError:  # a writer renamed or deleted it meanwhile
            continue
        if age > patience:
            yield Problem(
                escaped(snapshots / name),
                "not named by any index record that was read so far: a writer is at work on it, "
                "or was stopped before it wrote one",
            )


def discard_unnamed(directory: Path, folder: str) -> None:
    """Delete the files of a snapshot whose index could not be written.

    Those of equal contents share a directory: it stays if any record names it, or may.
    """
    scan = scan_run(directory)
    if scan.whole and not any(folder in record.folders for record in scan.records):
        shutil.rmtree(directory / ASSET_ROOT / "snapshots" / folder, ignore_errors=True)
        (directory / ARRAYS_FOLDER / f"{folder}.bin").unlink(missing_ok=True)


def _scan(file: Path, deadline: float) -> EventScan:
    status = file.stat()
    key = (str(file), status.st_ino)
    with _lock:
        before = _scans.get(key)
    if before is None or before.offset > status.st_size:
        before = EventScan((), 0)
    elif before.whole and before.offset == status.st_size:
        return before
    scan = _read_on(file, before, deadline)
    if time.time() - status.st_mtime < _RECENT_SECONDS:
        for moment in _MOMENTS:
            if scan.problem != TORN:
                break
            time.sleep(moment)
            scan = _read_on(file, scan, deadline)
    with _lock:
        if len(_scans) >= _MAX_SCANS:
            _scans.clear()
        _scans[key] = scan
    return scan


def _read_on(file: Path, before: EventScan, deadline: float) -> EventScan:
    more = read_index_records(file, before.offset, deadline)
    return EventScan(before.records + more.records, more.offset, more.problem, more.whole)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say
        return False


def _unreadable(path: Path, error: OSError) -> Problem:
    return Problem(
        escaped(path), f"cannot be read ({error.strerror}); make it readable, or move it"
    )

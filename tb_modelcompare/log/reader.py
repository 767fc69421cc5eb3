"""Which snapshots a log directory holds, without TensorFlow and without TensorBoard running."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tb_modelcompare.errors import (
    CorruptSnapshotError,
    LogDirectoryError,
    UnknownSnapshotError,
    nearest,
)
from tb_modelcompare.log.alignments import Alignment, read_alignments
from tb_modelcompare.log.assets import is_being_replaced
from tb_modelcompare.log.parsing import snapshot_from_index
from tb_modelcompare.log.records import IndexRecord
from tb_modelcompare.log.runs import Problem, RunScan, find_runs, scan_run, unlisted
from tb_modelcompare.log.snapshot import Snapshot

__all__ = [
    "Listing",
    "LoggedRun",
    "Problem",
    "Snapshot",
    "list_snapshots",
    "listing_of",
    "open_snapshot",
    "open_steps",
    "snapshot_from_index",
]


@dataclass(frozen=True)
class Listing:
    """Snapshots in order of run, name and step, and what could not be read.

    `gone` are the ids of those whose files were deleted or not copied, and `deleted` those that
    were deleted on purpose and are not among them. `alignments` are users' own of these snapshots.
    """

    snapshots: tuple[Snapshot, ...]
    problems: tuple[Problem, ...]
    gone: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    alignments: tuple[Alignment, ...] = ()


@dataclass(frozen=True)
class LoggedRun:
    """A run: its index records, whoever read them, and our own look at its event files."""

    name: str
    directory: Path
    records: Sequence[IndexRecord]
    scan: RunScan


def list_snapshots(logdir: str | Path) -> Listing:
    """All snapshots under `logdir`; where one was logged again, the latest.

    Cheap when repeated: event files are read on from where reading stopped.

    Parameters
    ----------
    logdir : path
        A directory of runs, as for `tensorboard --logdir`.

    Returns
    -------
    Listing
        `snapshots`, in order of run, name and step; `problems`, what could not be read; and `gone`,
        the ids of snapshots whose files are not there.

    Raises
    ------
    LogDirectoryError
        If `logdir` is no directory, or a remote one.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from tb_modelcompare import Probe, SummaryWriter
    >>> logdir, probe = tempfile.mkdtemp(), Probe(np.zeros((3, 8, 8, 3), np.uint8))
    >>> with SummaryWriter(f"{logdir}/run", probe) as writer:
    ...     for step in (0, 10):
    ...         _ = writer.add_activations("net", {"conv": np.eye(3)}, step=step)
    >>> [snapshot.id for snapshot in list_snapshots(logdir).snapshots]
    ['run/net@0', 'run/net@10']
    """
    root = local_directory(logdir)
    if not root.is_dir():
        raise LogDirectoryError(f"{root} is no directory; give the one that models were logged to")
    found, problems = find_runs(root)
    scans = [(name, directory, scan_run(directory)) for name, directory in found]
    runs = [LoggedRun(name, directory, scan.records, scan) for name, directory, scan in scans]
    return listing_of(runs, problems)


def listing_of(runs: Iterable[LoggedRun], problems: Iterable[Problem] = ()) -> Listing:
    """Snapshots of runs: of records with the same id the latest, without those that were removed.

    Whatever cannot be used becomes one problem, after those given, and the rest is listed.
    """
    latest: dict[str, Snapshot] = {}
    found = list(problems)
    runs = list(runs)
    for run in runs:
        found.extend(run.scan.problems)
        for record in run.records:
            parsed = _parsed(str(run.directory), run.name, record.text)
            if isinstance(parsed, str):
                found.append(Problem(f"{run.name}/{record.tag}@{record.step}", parsed))
                continue
            before = latest.get(parsed.id)
            if before is None or parsed.wall_time >= before.wall_time:
                latest[parsed.id] = parsed
        found.extend(unlisted(run.directory, run.scan))
    ordered = sorted(latest.values(), key=lambda s: (s.run, s.name, s.step))
    files = {snapshot.id: _files_of(snapshot) for snapshot in ordered}
    gone = [snapshot for snapshot in ordered if files[snapshot.id] == "gone"]
    found.extend(_gone_problems(gone))
    # A record cannot be taken back; whoever removes a snapshot empties its directory.
    kept = tuple(snapshot for snapshot in ordered if files[snapshot.id] != "removed")
    alignments, wrong = read_alignments([run.directory for run in runs], kept)
    return Listing(
        kept,
        (*found, *wrong),
        frozenset(snapshot.id for snapshot in gone),
        frozenset(snapshot.id for snapshot in ordered if files[snapshot.id] == "removed"),
        alignments,
    )


def open_snapshot(logdir: str | Path, name: str) -> Snapshot:
    """The snapshot called `name`: RUN, RUN@STEP, RUN/NAME or RUN/NAME@STEP.

    Without a step, the last one. RUN stands for the only model in that run.

    Parameters
    ----------
    logdir : path
        A directory of runs, as for `tensorboard --logdir`.
    name : str

    Returns
    -------
    Snapshot

    Raises
    ------
    UnknownSnapshotError
        If there is none, or more than one model fits, listing what there is.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from tb_modelcompare import Probe, SummaryWriter
    >>> logdir, probe = tempfile.mkdtemp(), Probe(np.zeros((3, 8, 8, 3), np.uint8))
    >>> with SummaryWriter(f"{logdir}/run", probe) as writer:
    ...     _ = writer.add_activations("net", {"conv": np.eye(3)}, step=7)
    >>> snapshot = open_snapshot(logdir, "run@7")
    >>> snapshot.layer_names, snapshot.activations("conv").shape
    (('conv',), (3, 3))
    """
    return open_steps(logdir, name)[-1]


def open_steps(logdir: str | Path, name: str) -> list[Snapshot]:
    """All snapshots that `name` stands for, of one model, in order of step.

    One for RUN@STEP, RUN/NAME@STEP or an id, all of a model for RUN and RUN/NAME.

    Parameters
    ----------
    logdir : path
        A directory of runs, as for `tensorboard --logdir`.
    name : str

    Returns
    -------
    list of Snapshot

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
    deleted = sorted(one for one in listing.deleted if name in _names_of(one))
    if deleted:
        raise UnknownSnapshotError(
            f"{', '.join(deleted[:3])} was deleted, by `tb-modelcompare rm` or `prune` or by a "
            f"writer that keeps only some; `tb-modelcompare list {logdir}` shows what is left"
        )
    ids_there = tuple(s.id for s in listing.snapshots)
    hint = "".join(f"; {p.where}: {p.message}" for p in listing.problems[:3])
    raise UnknownSnapshotError(
        f"no snapshot {name!r} in {logdir}; {nearest(name, ids_there)}{hint}"
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


def _names_of(snapshot_id: str) -> set[str]:
    """What a snapshot that is deleted may have been called: its id, or RUN@STEP."""
    model, _, step = snapshot_id.rpartition("@")
    run = model.rpartition("/")[0]
    return {snapshot_id, model, run, f"{run}@{step}"}


def _aliases(snapshot: Snapshot) -> set[str]:
    run, name, step = snapshot.run, snapshot.name, snapshot.step
    model = snapshot.id.rpartition("@")[0]
    return {run, f"{run}@{step}", model, f"{run}/{name}", f"{run}/{name}@{step}"}


# As many as TensorBoard keeps of one tag; it holds all records in memory as well.
@functools.lru_cache(maxsize=100_000)
def _parsed(run_dir: str, run: str, text: bytes) -> Snapshot | str:
    """A snapshot, or why the record is none. The same one as long as the record is the same."""
    try:
        return snapshot_from_index(run_dir, run, text)
    except CorruptSnapshotError as error:
        return str(error)


def _files_of(snapshot: Snapshot) -> Literal["there", "removed", "gone"]:
    """Whether a snapshot's directory has files, is empty, or is not there."""
    directory = Path(snapshot.run_dir, snapshot.folder)
    found = _contents_of(directory)
    if found == "gone":
        # A writer that replaces it may have done so since.
        return "there" if is_being_replaced(directory) else _contents_of(directory)
    return found


def _contents_of(directory: Path) -> Literal["there", "removed", "gone"]:
    try:
        with os.scandir(directory) as entries:
            return "removed" if next(entries, None) is None else "there"
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError:  # whoever reads an asset is told
        return "there"


def _gone_problems(gone: Iterable[Snapshot]) -> list[Problem]:
    """One for each model."""
    models: dict[str, list[Snapshot]] = {}
    for snapshot in gone:
        models.setdefault(snapshot.id.rpartition("@")[0], []).append(snapshot)
    return [
        Problem(
            model,
            f"the files of {len(steps)} of its snapshots are not there "
            f"({steps[0].folder}{', …' if len(steps) > 1 else ''}); copy the whole run "
            f"directory, log the model again, or make an empty directory in the place of one "
            f"that you deleted on purpose",
        )
        for model, steps in models.items()
    ]

"""Snapshots by their names."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from tb_modelcompare.errors import UnknownSnapshotError
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.snapshot import Snapshot

Named: TypeAlias = Snapshot | str


def opened(named: Named | tuple[str, int], run_dir: Path | None = None) -> Snapshot:
    """A snapshot as it is, or the one that "LOGDIR:RUN@STEP" names.

    Where a run is given, (name, step) is a snapshot of that run.

    Raises
    ------
    UnknownSnapshotError
        If there is none.
    """
    if isinstance(named, Snapshot):
        return named
    if run_dir is not None and isinstance(named, tuple) and len(named) == 2:
        return open_snapshot(run_dir, "./{}@{}".format(*named))
    if not isinstance(named, str):
        raise UnknownSnapshotError(
            f"{named!r:.100} is no snapshot; give one, or its name as 'LOGDIR:RUN@STEP'"
        )
    for colon in (i for i, letter in enumerate(named) if letter == ":"):
        directory, run = Path(named[:colon]).expanduser(), named[colon + 1 :]
        if run and directory.is_dir():  # a run's name may hold a colon, and so may a path
            return open_snapshot(directory, run)
    raise UnknownSnapshotError(
        f"{named!r} does not begin with a log directory; write 'LOGDIR:RUN' or 'LOGDIR:RUN@STEP', "
        f"such as 'logs:googlenet'"
    )

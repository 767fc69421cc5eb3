"""`tb-modelcompare prune` and `tb-modelcompare rm`: snapshots are deleted, others stay whole."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tb_modelcompare.cli.text import counted, printable
from tb_modelcompare.errors import OptionError, UnknownSnapshotError
from tb_modelcompare.log.reader import Snapshot, list_snapshots, open_steps
from tb_modelcompare.log.removal import first_and_last, removable_bytes, remove_folders


def prune(arguments: argparse.Namespace) -> int:
    """Delete all but some steps of every model; without --yes, say what would be deleted."""
    if arguments.keep is None and arguments.every is None:
        raise OptionError("give --keep N, --every K or both, to say which snapshots stay")
    models: dict[tuple[str, str], list[Snapshot]] = {}
    for snapshot in list_snapshots(arguments.logdir).snapshots:
        models.setdefault((snapshot.run, snapshot.name), []).append(snapshot)
    surplus = [
        snapshot
        for snapshots in models.values()
        for snapshot in _surplus(snapshots, arguments.keep, arguments.every)
    ]
    return _delete(surplus, arguments.yes)


def rm(arguments: argparse.Namespace) -> int:
    """Delete one snapshot, or all steps of a model."""
    logdir, name = _named(arguments.snapshot)
    steps = open_steps(logdir, name)
    return _delete(steps, True)


def _surplus(snapshots: Sequence[Snapshot], keep: int | None, every: int | None) -> list[Snapshot]:
    """All but the first, the last `keep - 1`, and every `every`-th, in order of step."""
    count = len(snapshots)
    kept = set() if keep is None else first_and_last(count, keep)
    if every is not None:
        kept.update(range(0, count, every))
    return [snapshot for i, snapshot in enumerate(snapshots) if i not in kept]


def _named(text: str) -> tuple[str, str]:
    """LOGDIR and RUN[@STEP]; the directory may have colons in its name."""
    for at in (i for i, character in enumerate(text) if character == ":"):
        if os.path.isdir(text[:at]) and text[at + 1 :]:
            return text[:at], text[at + 1 :]
    raise UnknownSnapshotError(
        f"{text!r} does not begin with a log directory; write LOGDIR:RUN or LOGDIR:RUN@STEP"
    )


def _delete(snapshots: Iterable[Snapshot], really: bool) -> int:
    runs: dict[str, list[Snapshot]] = {}
    for snapshot in snapshots:
        runs.setdefault(snapshot.run_dir, []).append(snapshot)
    total = freed = 0
    for run_dir, chosen in runs.items():
        folders = [snapshot.folder for snapshot in chosen]
        freed += removable_bytes(Path(run_dir), folders)
        total += len(chosen)
        for snapshot in chosen:
            print(printable(snapshot.id))
        if really:
            remove_folders(Path(run_dir), folders)
    verb = "deleted" if really else "would be deleted; --yes deletes them"
    print(f"{counted(total, 'snapshot')}, {freed / 1e6:.3g} MB: {verb}")
    return 0

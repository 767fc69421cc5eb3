"""Snapshots deleted from a run: arrays that others refer to stay, everything else goes."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from tb_modelcompare.log.assets import Asset, empty_directory, sync, unused_name, writing_to
from tb_modelcompare.log.format import ARRAYS_FOLDER
from tb_modelcompare.log.reader import LoggedRun, listing_of
from tb_modelcompare.log.runs import scan_run
from tb_modelcompare.log.snapshot import Snapshot

# A file that no record names may be of a writer that is about to name it.
_UNNAMED_SECONDS = 3600
_BLOCK_BYTES = 2**24
_BLOCK_UNIT = 512  # in which POSIX counts the room that a file takes


def snapshots_of_run(run_dir: Path) -> tuple[Snapshot, ...]:
    """The snapshots that one run holds; runs in directories below it are others."""
    scan = scan_run(run_dir)
    return listing_of([LoggedRun(".", run_dir, scan.records, scan)]).snapshots


def first_and_last(count: int, keep: int) -> set[int]:
    """Which `keep` of `count` snapshots stay: the first, and the last `keep - 1` of the others."""
    return {0, *range(max(1, count - keep + 1), count)}


def remove_folders(run_dir: Path, folders: Collection[str]) -> None:
    """Delete the files of snapshots, whose empty directories then say that this was on purpose.

    Arrays that another snapshot refers to stay until that one is deleted as well.

    Parameters
    ----------
    run_dir : Path
    folders : collection of str
        The snapshots' directories, relative to the run.

    Raises
    ------
    LogDirectoryError
        If that fails.
    """
    needed = _needed(run_dir, folders)
    for folder in folders:
        directory = run_dir / folder
        with writing_to(run_dir):
            directory.mkdir(parents=True, exist_ok=True)  # if it was deleted before
        empty_directory(directory)
    with writing_to(run_dir):
        for file in _surplus(run_dir, needed):
            file.unlink(missing_ok=True)
        for file in _arrays_of(run_dir, folders):
            if file in needed and file.exists():
                _thin(file, needed[file])


def removable_bytes(run_dir: Path, folders: Collection[str]) -> int:
    """How much room on the disk `remove_folders` makes, about."""
    needed = _needed(run_dir, folders)
    directories = [run_dir / folder for folder in folders if (run_dir / folder).is_dir()]
    own = [file for directory in directories for file in directory.iterdir()]
    thinned = [f for f in _arrays_of(run_dir, folders) if f in needed and f.exists()]
    return sum(map(_room, [*own, *_surplus(run_dir, needed), *thinned])) - sum(
        part.bytes for file in thinned for part in needed[file]
    )


def _needed(run_dir: Path, folders: Collection[str]) -> dict[Path, set[Asset]]:
    """What the snapshots outside of `folders` are made of: files, and which parts of them."""
    needed: dict[Path, set[Asset]] = {}
    for snapshot in snapshots_of_run(run_dir):
        if snapshot.folder not in folders:
            for asset in snapshot.assets:
                needed.setdefault(run_dir / asset.path, set()).add(asset)
    return needed


def _arrays_of(run_dir: Path, folders: Iterable[str]) -> list[Path]:
    return [run_dir / ARRAYS_FOLDER / f"{PurePosixPath(folder).name}.bin" for folder in folders]


def _surplus(run_dir: Path, needed: Collection[Path]) -> list[Path]:
    """Arrays that no snapshot refers to, of snapshots that were recorded, or long ago."""
    recorded = frozenset[str]().union(*(one.folders for one in scan_run(run_dir).records))
    surplus = []
    for file in sorted((run_dir / ARRAYS_FOLDER).glob("*.bin")):
        is_old = time.time() - file.stat().st_mtime > _UNNAMED_SECONDS
        if file not in needed and (file.stem in recorded or is_old):
            surplus.append(file)
    return surplus


def _thin(file: Path, parts: Iterable[Asset]) -> None:
    """Put a file with holes in the place of one of which only some parts are needed."""
    thin = unused_name(file.parent)
    try:
        with open(file, "rb") as source, open(thin, "xb") as target:
            for part in sorted(parts, key=lambda part: part.offset or 0):
                source.seek(part.offset or 0)
                target.seek(part.offset or 0)
                left = part.bytes
                while left and (block := source.read(min(left, _BLOCK_BYTES))):
                    target.write(block)
                    left -= len(block)
        sync(thin)
        os.rename(thin, file)
    finally:
        thin.unlink(missing_ok=True)
    sync(file.parent)


def _room(file: Path) -> int:
    return file.stat().st_blocks * _BLOCK_UNIT

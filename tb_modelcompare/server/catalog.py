"""Snapshots of the log directory that TensorBoard serves, through its data provider."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.data import provider
from tensorboard.plugins import base_plugin

from tb_modelcompare.errors import UnknownSnapshotError, nearest
from tb_modelcompare.log.alignments import Alignment
from tb_modelcompare.log.format import ASSET_ROOT, PLUGIN_NAME
from tb_modelcompare.log.reader import LoggedRun, Problem, listing_of
from tb_modelcompare.log.records import IndexRecord
from tb_modelcompare.log.runs import RunScan, scan_run
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.log.stored_probe import StoredProbe
from tb_modelcompare.log.text import escaped, is_text

# A call to TensorBoard's data server takes some 45 ms, and a tab asks many things at once.
FRESH_SECONDS = 2.0
_MAX_STEPS_PER_TAG = 100_000
_MAX_PROBES = 4
# For reading event files on, beside TensorBoard, which may hold gigabytes of others' data.
SCAN_SECONDS = 0.25


@dataclass(frozen=True)
class Contents:
    """What a log directory holds; `message` says why it cannot be read, if it cannot."""

    snapshots: dict[str, Snapshot]
    problems: tuple[Problem, ...]
    message: str | None = None
    alignments: tuple[Alignment, ...] = ()
    deleted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Seen:
    at: float
    signature: set[tuple[str, str, str, str]]
    records: dict[str, list[IndexRecord]]
    unreadable: list[Problem]
    contents: Contents


class Catalog:
    """The log directory's snapshots, read again when TensorBoard has seen new records.

    Thread-safe. Snapshots keep their identity as long as their record is the same.
    """

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._probes: dict[str, StoredProbe] = {}

    def contents(self, request_context: Any, experiment: str) -> Contents:
        """All snapshots of an experiment (TensorBoard's, "" where it serves a log directory)."""
        message = self._unsupported()
        if message is not None:
            return Contents({}, (), message)
        with self._lock:
            seen = self._seen.get(experiment)
            if seen is None or time.monotonic() - seen.at >= FRESH_SECONDS:
                seen = self._survey(request_context, experiment, seen)
                self._seen[experiment] = seen
            return seen.contents

    def snapshot(self, request_context: Any, experiment: str, snapshot_id: str) -> Snapshot:
        """The snapshot of exactly this id.

        Raises
        ------
        UnknownSnapshotError
            If there is none, naming the nearest.
        """
        contents = self.contents(request_context, experiment)
        snapshot = contents.snapshots.get(snapshot_id)
        if snapshot is None:
            hint = contents.message or nearest(snapshot_id, tuple(contents.snapshots))
            raise UnknownSnapshotError(f"no snapshot {snapshot_id!r:.300}; {hint}")
        return snapshot

    def probe(self, snapshot: Snapshot) -> StoredProbe:
        """The probe of a snapshot; opening one means to hash all its pixels, so few are kept.

        Another run may have logged it. If that run's file is gone or changed, this one's serves.
        """
        with self._lock:
            probe = self._probes.pop(snapshot.probe_id, None)
        if probe is None or not probe.images.is_unchanged():
            probe = snapshot.stored_probe()
        with self._lock:
            self._probes[snapshot.probe_id] = probe
            while len(self._probes) > _MAX_PROBES:
                del self._probes[next(iter(self._probes))]
        return probe

    def _unsupported(self) -> str | None:
        context = self._context
        if context.data_provider is None:
            return "this TensorBoard has no data provider; start it with --logdir"
        if context.logdir and _is_remote(context.logdir):
            return (
                f"the log directory {context.logdir} is remote, which is not supported yet; "
                f"copy it to this machine, or mount it"
            )
        if context.multiplexer is None and not context.logdir:
            return (
                "model comparison needs to know the log directory; start TensorBoard with --logdir"
            )
        return None

    def _directories(self, runs: Iterable[str]) -> dict[str, str]:
        """Where runs are; those that TensorBoard forgot meanwhile are left out."""
        multiplexer = self._context.multiplexer
        if multiplexer is not None:
            paths: Mapping[str, Any] = multiplexer.RunPaths()
            return {run: str(paths[run]) for run in runs if run in paths}
        logdir = os.path.expanduser(self._context.logdir)
        return {run: os.path.normpath(os.path.join(logdir, run)) for run in runs}

    def _survey(self, request_context: Any, experiment: str, before: _Seen | None) -> _Seen:
        """Ask what there is, and read records only if there are other ones than before."""
        source = self._context.data_provider
        runs = source.list_runs(request_context, experiment_id=experiment)
        series = source.list_tensors(
            request_context, experiment_id=experiment, plugin_name=PLUGIN_NAME
        )
        signature = {
            (run, tag, str(one.max_step), str(one.max_wall_time))
            for run, tags in series.items()
            for tag, one in tags.items()
        }
        if before is None or signature != before.signature:
            records, unreadable = self._read(request_context, experiment, series)
        else:
            records, unreadable = before.records, before.unreadable
        names = sorted({run.run_name for run in runs} | set(records))
        problems = list(unreadable)
        logged: list[LoggedRun] = []
        deadline = time.monotonic() + SCAN_SECONDS
        for name, path in self._directories(names).items():
            complaint = _unusable(name, path)
            if complaint is None:
                directory = Path(path)
                ours = name in records or (directory / ASSET_ROOT).is_dir()
                scan = scan_run(directory, deadline) if ours else RunScan()
                logged.append(LoggedRun(name, directory, records.get(name, ()), scan))
            elif name in records:
                problems.append(Problem(escaped(name), complaint))
        listing = listing_of(logged, problems)
        present = {snapshot.id: snapshot for snapshot in listing.snapshots}
        contents = Contents(
            present, listing.problems, alignments=listing.alignments, deleted=listing.deleted
        )
        return _Seen(time.monotonic(), signature, records, unreadable, contents)

    def _read(
        self, request_context: Any, experiment: str, series: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[str, list[IndexRecord]], list[Problem]]:
        """Records by run, and what TensorBoard cannot read of them.

        All at once; only if that fails, one tag after the other, to find out which it is.
        """
        everything = provider.RunTagFilter()
        wanted = [everything] if series else []
        records: dict[str, list[IndexRecord]] = {}
        problems: list[Problem] = []
        while wanted:
            which = wanted.pop()
            try:
                tensors = self._context.data_provider.read_tensors(
                    request_context,
                    experiment_id=experiment,
                    plugin_name=PLUGIN_NAME,
                    downsample=_MAX_STEPS_PER_TAG,
                    run_tag_filter=which,
                )
                read = {
                    run: [
                        IndexRecord.of(tag, datum.step, _text(datum.numpy))
                        for tag, data in sorted(tags.items())
                        for datum in data
                    ]
                    for run, tags in sorted(tensors.items())
                }
            except Exception as error:  # noqa: BLE001  a foreign reader, and hostile tensors
                if which is everything:
                    wanted.extend(
                        provider.RunTagFilter(runs=[run], tags=[tag])
                        for run, tags in series.items()
                        for tag in tags
                    )
                else:
                    (run,), (tag,) = which.runs, which.tags
                    reason = f"TensorBoard cannot read its records ({error!r:.200})"
                    problems.append(Problem(escaped(f"{run}/{tag}"), reason))
                continue
            for run, found in read.items():
                records.setdefault(run, []).extend(found)
        return records, problems


def _is_remote(path: str) -> bool:
    return "://" in path


def _unusable(run: str, path: str) -> str | None:
    """Why a run cannot be read; None if it can."""
    if _is_remote(path):
        return f"{path} is remote, which is not supported yet; copy it to this machine"
    if not is_text(run) or not is_text(path):
        return "the name of this directory is not UTF-8; rename it"
    return None


def _text(value: Any) -> bytes:
    """The bytes in a scalar string tensor; anything else will not parse, and be reported."""
    item = value.item() if value.size == 1 else b""
    return item if isinstance(item, bytes) else str(item).encode()

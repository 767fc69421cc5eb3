"""Snapshots of the log directory that TensorBoard serves, through its data provider."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.plugins import base_plugin

from tb_modelcompare.errors import CorruptSnapshotError, UnknownSnapshotError
from tb_modelcompare.metadata import PLUGIN_NAME
from tb_modelcompare.probe import Probe
from tb_modelcompare.snapshot import Snapshot, nearest, snapshot_from_index
from tb_modelcompare.store import Problem, is_removed, orphans

# A call to TensorBoard's data server takes some 45 ms, and a tab asks many things at once.
_FRESH_SECONDS = 2.0
_MAX_STEPS_PER_TAG = 100_000
_MAX_PROBES = 4


@dataclass(frozen=True)
class Contents:
    """What a log directory holds; `message` says why it cannot be read, if it cannot."""

    snapshots: dict[str, Snapshot]
    problems: tuple[Problem, ...]
    message: str | None = None


@dataclass(frozen=True)
class _Seen:
    at: float
    signature: set[tuple[str, str, str, str]]
    recorded: dict[str, Snapshot]
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
        self._parsed: dict[tuple[str, bytes], Snapshot | str] = {}
        self._probes: dict[str, Probe] = {}

    def contents(self, request_context: Any, experiment: str) -> Contents:
        """All snapshots of an experiment (TensorBoard's, "" where it serves a log directory)."""
        message = self._unsupported()
        if message is not None:
            return Contents({}, (), message)
        with self._lock:
            seen = self._seen.get(experiment)
            if seen is None or time.monotonic() - seen.at >= _FRESH_SECONDS:
                seen = self._look(request_context, experiment, seen)
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

    def probe(self, snapshot: Snapshot) -> Probe:
        """The probe of a snapshot; opening one means to hash all its pixels, so few are kept."""
        with self._lock:
            probe = self._probes.pop(snapshot.probe_id, None)
        if probe is None:
            probe = snapshot.probe()
        with self._lock:
            self._probes[snapshot.probe_id] = probe
            while len(self._probes) > _MAX_PROBES:
                del self._probes[next(iter(self._probes))]
        return probe

    def _unsupported(self) -> str | None:
        context = self._context
        if context.data_provider is None:
            return "this TensorBoard has no data provider; start it with --logdir"
        if context.multiplexer is not None:
            return None
        if not context.logdir:
            return (
                "model comparison needs to know the log directory; start TensorBoard with --logdir"
            )
        if "://" in context.logdir:
            return (
                f"the log directory {context.logdir} is remote, which is not supported yet; "
                f"copy it to this machine, or mount it"
            )
        return None

    def _run_directory(self, run: str) -> str:
        multiplexer = self._context.multiplexer
        if multiplexer is not None:
            return str(multiplexer.RunPaths()[run])
        return os.path.normpath(os.path.join(os.path.expanduser(self._context.logdir), run))

    def _look(self, request_context: Any, experiment: str, before: _Seen | None) -> _Seen:
        """Ask what there is, and read records only if there are other ones than before."""
        provider = self._context.data_provider
        runs = provider.list_runs(request_context, experiment_id=experiment)
        series = provider.list_tensors(
            request_context, experiment_id=experiment, plugin_name=PLUGIN_NAME
        )
        signature = {
            (run, tag, str(one.max_step), str(one.max_wall_time))
            for run, tags in series.items()
            for tag, one in tags.items()
        }
        if before is None or signature != before.signature:
            snapshots, problems = self._read(request_context, experiment) if series else ({}, [])
        else:
            snapshots, problems = before.recorded, before.unreadable
        named: dict[str, set[str]] = {run.run_name: set() for run in runs}
        for snapshot in snapshots.values():
            assets = os.path.dirname(snapshot.graph_asset.path)
            named.setdefault(snapshot.run, set()).add(assets)
        left = [
            problem
            for run, used in sorted(named.items())
            for problem in orphans(Path(self._run_directory(run)), used)
        ]
        # A record cannot be taken back; `keep` of the callback deletes the files instead.
        present = {name: one for name, one in snapshots.items() if not is_removed(one)}
        contents = Contents(present, (*problems, *left))
        return _Seen(time.monotonic(), signature, snapshots, problems, contents)

    def _read(
        self, request_context: Any, experiment: str
    ) -> tuple[dict[str, Snapshot], list[Problem]]:
        """Snapshots by id, where logged again the latest, and records that are none."""
        tensors = self._context.data_provider.read_tensors(
            request_context,
            experiment_id=experiment,
            plugin_name=PLUGIN_NAME,
            downsample=_MAX_STEPS_PER_TAG,
        )
        snapshots: dict[str, Snapshot] = {}
        problems: list[Problem] = []
        parsed: dict[tuple[str, bytes], Snapshot | str] = {}
        for run, tags in sorted(tensors.items()):
            directory = self._run_directory(run)
            for tag, series in sorted(tags.items()):
                for datum in series:
                    key = (run, _text(datum.numpy))
                    found = self._parsed.get(key) or _parse(directory, *key)
                    parsed[key] = found
                    if isinstance(found, str):
                        problems.append(Problem(f"{run}/{tag}@{datum.step}", found))
                    else:
                        before = snapshots.get(found.id)
                        if before is None or found.wall_time >= before.wall_time:
                            snapshots[found.id] = found
        self._parsed = parsed
        return snapshots, problems


def _text(value: Any) -> bytes:
    """The bytes in a scalar string tensor; anything else will not parse, and be reported."""
    item = value.item() if value.size == 1 else b""
    return item if isinstance(item, bytes) else str(item).encode()


def _parse(directory: str, run: str, text: bytes) -> Snapshot | str:
    try:
        return snapshot_from_index(directory, run, text)
    except CorruptSnapshotError as error:
        return str(error)

"""The event file of a run, and where the files of its snapshots are."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tb_modelcompare.errors import LogDirectoryError
from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.log.assets import Asset, writing_below
from tb_modelcompare.log.events import EventFile, index_event
from tb_modelcompare.log.graphs_tab import graphs_tab_event, run_graph_event
from tb_modelcompare.log.probe_record import ProbeRecord
from tb_modelcompare.log.removal import remove_folders, snapshots_of_run
from tb_modelcompare.log.runs import discard_unnamed
from tb_modelcompare.log.storing_probe import store_probe
from tb_modelcompare.log.writing import arrays_of, index_text
from tb_modelcompare.probe.probe import Probe


class RunFiles:
    """What one process writes to a run beside the files of snapshots themselves."""

    def __init__(self, run_dir: Path, probe: Probe) -> None:
        self._run_dir, self._probe = run_dir, probe
        self._probe_record: ProbeRecord | None = None
        self._events: EventFile | None = None
        self._graphs: dict[str, LayerGraph] = {}
        # Where the files of snapshots are, in the order in which they were logged.
        self._written: dict[tuple[str, int], str] = {}
        self._arrays: dict[str, dict[str, Asset]] = {}
        self._log_was_read = False

    def begin(self) -> None:
        """Make the event file; a directory without one is no run."""
        self._opened().begin()

    def probe_record(self) -> ProbeRecord:
        """That of the probe, which is written the first time."""
        if self._probe_record is None:
            self._probe_record = store_probe(self._run_dir, self._probe)
        return self._probe_record

    def arrays_of(self, name: str) -> Mapping[str, Asset]:
        """Those of the last snapshot of a model, which the next one may refer to."""
        return self._arrays.get(name, {})

    def logged_steps(self, name: str) -> list[int]:
        """Steps of the snapshots of `name`, earlier processes' included, as they were logged."""
        if not self._log_was_read:
            former = {
                (s.name, s.step): s.folder
                for s in sorted(snapshots_of_run(self._run_dir), key=lambda s: s.wall_time)
                if (s.name, s.step) not in self._written
            }
            self._written = former | self._written
            self._log_was_read = True
        return [step for written, step in self._written if written == name]

    def remove(self, name: str, step: int) -> None:
        """Remove the files of a snapshot, if there is one."""
        if step in self.logged_steps(name):
            with writing_below(self._run_dir):
                remove_folders(self._run_dir, [self._written.pop((name, step))])

    def close(self) -> None:
        """Close the event file, if there is one."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def record(self, index: dict[str, Any], graph: LayerGraph) -> None:
        """Write the index of a snapshot whose files are there, and with it the graph.

        Raises
        ------
        LogDirectoryError
            If the event file cannot be written. The files of the snapshot are gone then.
        """
        events = self._opened()
        name, step, wall_time = index["name"], index["step"], index["wall_time"]
        files = posixpath.dirname(index["graph"]["path"])
        try:
            if not self._graphs:  # a run has one op graph: that of its first model
                events.write(run_graph_event(graph, wall_time))
            if self._graphs.get(name) != graph:
                # A tag belongs to one plugin, and `name` is the index's.
                events.write(graphs_tab_event(graph, f"graph of {name}", step, wall_time))
                self._graphs[name] = graph
            events.write(index_event(name, step, wall_time, index_text(index)))
        except LogDirectoryError:
            discard_unnamed(self._run_dir, posixpath.basename(files))
            raise
        self._arrays[name] = arrays_of(index)
        superseded = self._written.pop((name, step), None)
        self._written[name, step] = files
        if superseded is not None:
            remove_folders(self._run_dir, [superseded])

    def _opened(self) -> EventFile:
        if self._events is None:
            self._events = EventFile(self._run_dir)
        return self._events

"""`SummaryWriter`: logs what models compute on a probe."""

from __future__ import annotations

import contextlib
import os
import posixpath
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare import capture
from tb_modelcompare.disk.assets import empty_directory
from tb_modelcompare.disk.events import EventFile, index_event
from tb_modelcompare.disk.index import ProbeRecord
from tb_modelcompare.disk.runs import discard_unnamed
from tb_modelcompare.disk.writing import index_text, store_probe, write_snapshot
from tb_modelcompare.errors import (
    ActivationError,
    LogDirectoryError,
    ModelCompareError,
    ModelFileError,
    NotRenderableError,
)
from tb_modelcompare.graph import LayerGraph, Node, annotate
from tb_modelcompare.graphs_tab import graphs_tab_event, run_graph_event
from tb_modelcompare.probe import Preprocessing, Probe
from tb_modelcompare.sampling import Reduction, Sampled, real_numbers
from tb_modelcompare.store import local_directory


class SummaryWriter:
    """Logs models' activations on one probe to a run directory.

    Parameters
    ----------
    logdir : path
        The run's directory; made if needed. Other writers may log to it too.
    probe : Probe
        What every model is shown; stored once per run and probe.

    Use it as a context manager, or call `close`. A snapshot is visible to readers, whole,
    when the call that logged it returns; one that is interrupted appears in no listing.
    A snapshot logged again under the same name and step takes the place of the former.
    """

    def __init__(self, logdir: str | Path, probe: Probe) -> None:
        self._run_dir = local_directory(logdir)
        if self._run_dir.exists() and not self._run_dir.is_dir():
            raise LogDirectoryError(f"{self._run_dir} is a file; give a directory to log to")
        if not isinstance(probe, Probe):
            raise ModelCompareError(f"probe is a {type(probe).__name__}; give a Probe")
        self._probe = probe
        self._probe_record: ProbeRecord | None = None
        self._events: EventFile | None = None
        self._graphs: dict[str, LayerGraph] = {}
        self._written: dict[tuple[str, int], str] = {}
        self._closed = False

    def add_model(
        self,
        name: str,
        model: Any,
        step: int = 0,
        preprocessing: Preprocessing | None = None,
        layers: capture.LayerFilter | None = None,
        reduction: Reduction = "sample",
        frozen: bool = True,
        batch_size: int = 32,
        progress: bool = True,
    ) -> None:
        """Show the probe to a model and log its layers, graph and (to render) frozen graph.

        The model is run in inference mode and left as it was. Images are resized to its input
        size and converted to its number of channels. Only `batch_size` images are in memory.

        Parameters
        ----------
        name : str
            The model's name.
        model : Keras 3 model, torch module, or path
            A torch module is shown the probe at the probe's size, as (n, c, h, w). Arrays of a
            probe that are no images are shown as they are. A path is a
            .keras or .h5 file, a frozen GraphDef (.pb), a SavedModel directory, or, without
            renders, a .tflite or .onnx file.
        step : int
            Of training.
        preprocessing : Preprocessing, optional
            What the model wants; RGB in [0, 1] if left out.
        layers : list of names, regular expression or predicate of a `Node`, optional
            What to log. All layers if left out, except those that pass values through
            unchanged (dropout, flatten, reshape, padding).
        reduction : "sample", "mean", "first" or "flatten"
            How an output with several places becomes rows: its value at the position, the mean
            of all places, the first token, or all values as so many units.
        frozen : bool
            Whether to log the frozen graph. Where it cannot be had, a warning says why and
            everything else is logged.
        batch_size : int
            Images at a time.
        progress : bool
            Whether to show a progress bar.

        Raises
        ------
        ModelFileError
            If `model` is none that we can read.
        LayerSelectionError
            If `layers` matches nothing.
        ActivationError
            If a layer gives NaN or infinity.
        LogDirectoryError
            If there is no room for it, or the directory cannot be written. Nothing of it is
            left then, and later calls log as usual.
        """
        self._check(name, step)
        recording = capture.prepare(
            open_model(model, self._probe), self._probe, preprocessing, layers, reduction
        )
        self.add_recording(name, recording, step, frozen, batch_size, progress)

    def add_recording(
        self,
        name: str,
        recording: capture.Recording,
        step: int = 0,
        frozen: bool = True,
        batch_size: int = 32,
        progress: bool = True,
    ) -> None:
        """`add_model` for a model that was made ready before, as when it is logged repeatedly."""
        self._check(name, step)
        if batch_size < 1:
            raise ModelCompareError(f"batch_size is {batch_size}; give 1 or more")
        graph_def, problem = _freeze(name, recording) if frozen else (None, None)
        batches = recording.batches(batch_size)
        graph = annotate(recording.model.graph)
        index = write_snapshot(
            self._run_dir,
            self._store_probe(),
            name,
            int(step),
            recording.layers,
            _with_progress(batches, len(self._probe), batch_size, name) if progress else batches,
            graph,
            frozen=graph_def,
            frozen_problem=problem,
            preprocessing=recording.preprocessing,
        )
        self._record(index, graph)

    def add_activations(
        self,
        name: str,
        activations: Mapping[str, npt.ArrayLike],
        step: int = 0,
        graph: LayerGraph | None = None,
    ) -> None:
        """Log activations that were computed elsewhere, by any framework.

        Parameters
        ----------
        name : str
            The model's name.
        activations : mapping of layer name to array (rows, units)
            In the order of the layers; row r is at the probe's position r. Kept as float32.
        step : int
            Of training.
        graph : LayerGraph, optional
            Its nodes called as the layers are marked as logged. A chain if left out.

        Raises
        ------
        ActivationError
            If an array has another shape than (probe.rows, units), is not of real numbers,
            or holds NaN, infinity or values beyond float32.
        LogDirectoryError
            As `add_model`.
        """
        self._check(name, step)
        if not activations:
            raise ActivationError("no activations; give at least one layer")
        sampled = [_as_sampled(layer, array) for layer, array in activations.items()]
        layers = tuple(activations)
        if graph is None:
            graph = _chain(layers, [s.values.shape[1] for s in sampled])
        index = write_snapshot(
            self._run_dir, self._store_probe(), name, int(step), layers, [sampled], graph
        )
        self._record(index, graph)

    def remove(self, name: str, step: int) -> None:
        """Free the disk space of a snapshot that this writer logged; it is listed no more."""
        files = self._written.pop((name, step), None)
        if files is not None:
            empty_directory(self._run_dir / files)

    def flush(self) -> None:
        """Nothing is held back: a snapshot is on the disk once logged."""

    def close(self) -> None:
        """Close the event file. Idempotent."""
        self._closed = True
        if self._events is not None:
            self._events.close()
            self._events = None

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self, name: str, step: int) -> None:
        if self._closed:
            raise ModelCompareError("this SummaryWriter is closed; make another")
        if not isinstance(name, str) or not 0 < len(name.strip()) <= 200 or not name.isprintable():
            raise ModelCompareError(f"name is {name!r:.250}; give 1 to 200 printable characters")
        if not isinstance(step, (int, np.integer)) or not 0 <= step < 2**53:
            raise ModelCompareError(f"step is {step!r}; give a whole number from 0")

    def _store_probe(self) -> ProbeRecord:
        if self._probe_record is None:
            self._probe_record = store_probe(self._run_dir, self._probe)
        return self._probe_record

    def _record(self, index: dict[str, Any], graph: LayerGraph) -> None:
        if self._events is None:
            self._events = EventFile(self._run_dir)
        name, step, wall_time = index["name"], index["step"], index["wall_time"]
        files = posixpath.dirname(index["graph"]["path"])
        try:
            if not self._graphs:  # a run has one op graph: that of its first model
                self._events.write(run_graph_event(graph, wall_time))
            if self._graphs.get(name) != graph:
                # A tag belongs to one plugin, and `name` is the index's.
                self._events.write(graphs_tab_event(graph, f"graph of {name}", step, wall_time))
                self._graphs[name] = graph
            self._events.write(index_event(name, step, wall_time, index_text(index)))
        except LogDirectoryError:
            discard_unnamed(self._run_dir, posixpath.basename(files))
            raise
        if self._written.get((name, step), files) != files:
            self.remove(name, step)  # superseded
        self._written[name, step] = files


def open_model(model: Any, probe: Probe) -> capture.Model:
    """Whatever `SummaryWriter.add_model` takes, opened for capture on `probe`.

    Raises
    ------
    ModelFileError
        If it is no model, or none that we can read.
    """
    feed = capture.Feed.of(probe)
    if isinstance(model, (str, os.PathLike)):
        from tb_modelcompare.graphdef import open_file

        return open_file(Path(model), feed)
    frameworks = {c.__module__.partition(".")[0] for c in type(model).__mro__}
    if "keras" in frameworks:  # first: on the torch backend a Keras model is a torch module too
        from tb_modelcompare.keras import open_model as open_keras

        return open_keras(model, feed)
    if "torch" in frameworks and callable(getattr(model, "named_modules", None)):
        from tb_modelcompare.torch import open_model as open_torch

        return open_torch(model, feed)
    raise ModelFileError(
        f"{type(model).__name__} is no model that can be logged; give a Keras 3 model, a torch "
        f"module, a model's file or a SavedModel directory, or use add_activations"
    )


def _freeze(
    name: str, recording: capture.Recording
) -> tuple[capture.FrozenGraph | None, str | None]:
    try:
        return recording.freeze(), None
    except NotRenderableError as error:
        if not recording.probe.is_of_images:  # there is nothing that the user could change
            return None, str(error)
        warnings.warn(
            f"{name!r} is logged without a frozen graph, so nothing can be rendered: {error}",
            stacklevel=4,
        )
        return None, str(error)


def _with_progress(
    batches: Iterator[list[Sampled]], count: int, batch_size: int, name: str
) -> Iterator[list[Sampled]]:
    from tqdm import tqdm

    with contextlib.closing(tqdm(total=count, desc=name, unit="image")) as bar:
        for batch in batches:
            yield batch
            bar.update(min(batch_size, count - bar.n))


def _as_sampled(layer: str, array: npt.ArrayLike) -> Sampled:
    if not isinstance(layer, str) or not 0 < len(layer) <= 1024:
        raise ActivationError(f"layer name {layer!r:.100} is not a string of 1 to 1024 characters")
    values = real_numbers(array, f"layer {layer!r}")
    if values.ndim != 2 or values.shape[1] == 0:
        raise ActivationError(
            f"layer {layer!r} has shape {values.shape}; give (rows, units), sampled at the "
            f"probe's positions"
        )
    with np.errstate(over="ignore"):  # beyond float32 becomes infinity, which is refused later
        return Sampled(np.asarray(values, dtype=np.float32), None)


def _chain(layers: Sequence[str], units: Sequence[int]) -> LayerGraph:
    return LayerGraph(
        tuple(
            Node(layer, "Activations", tuple(layers[max(i - 1, 0) : i]), (n,), n, True, layer)
            for i, (layer, n) in enumerate(zip(layers, units, strict=True))
        )
    )

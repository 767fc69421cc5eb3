"""`SummaryWriter`: logs what models compute on a probe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt

from tb_modelcompare.capture import contract as capture
from tb_modelcompare.capture.chief import is_chief
from tb_modelcompare.capture.open import open_model
from tb_modelcompare.capture.receptive import ReceptiveField
from tb_modelcompare.errors import (
    LogDirectoryError,
    ModelCompareError,
)
from tb_modelcompare.errors.checks import one_of
from tb_modelcompare.graph import LayerGraph, annotate
from tb_modelcompare.log.alignments import write_alignment
from tb_modelcompare.log.assets import writing_below
from tb_modelcompare.log.entries import (
    check_options,
    checked_activations,
    checked_name,
    checked_run_dir,
    checked_step,
)
from tb_modelcompare.log.format import DTYPES, Dtype
from tb_modelcompare.log.lines import Lines, line_values
from tb_modelcompare.log.opening import Named, opened
from tb_modelcompare.log.plausibility import Observed
from tb_modelcompare.log.reporting import (
    fields_of,
    frozen_or_why_not,
    say_accuracy,
    warn_of_left_out,
    with_progress,
)
from tb_modelcompare.log.run_files import RunFiles
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.writing import (
    write_snapshot,
)
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.sampling import REDUCTIONS, Reduction


class SummaryWriter:
    """Logs models' activations on one probe to a run directory.

    Parameters
    ----------
    logdir : path
        The run's directory; made if needed. Other writers may log to it too.
    probe : Probe
        What every model is shown; stored once per run and probe.

    Raises
    ------
    LogDirectoryError
        If the directory cannot be written, here or in a call that logs.

    Notes
    -----
    Use it as a context manager, or call `close`. A snapshot is visible to readers, whole,
    when the call that logged it returns; one that is interrupted appears in no listing.
    A snapshot logged again under the same name and step takes the place of the former.

    Where several processes train together (torch.distributed, JAX, tf.distribute), call it in
    all of them. Every process computes, because one that holds only a part of the parameters
    cannot compute without the others. The first process alone writes.

    A layer that holds NaN or infinity (float16 overflows beyond 65504) is left out of its
    snapshot with a warning, and stays in the graph as a layer without activations.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from tb_modelcompare import Probe, open_snapshot
    >>> logdir, probe = tempfile.mkdtemp(), Probe(np.zeros((3, 8, 8, 3), np.uint8))
    >>> with SummaryWriter(f"{logdir}/run", probe) as writer:
    ...     _ = writer.add_activations("net", {"conv": np.eye(3)}, step=7)
    >>> open_snapshot(logdir, "run").id
    'run/net@7'
    """

    def __init__(self, logdir: str | Path, probe: Probe) -> None:
        self._run_dir = checked_run_dir(logdir)
        if not isinstance(probe, Probe):
            raise ModelCompareError(f"probe is a {type(probe).__name__}; give a Probe")
        self._probe = probe
        self._run = RunFiles(self._run_dir, probe)
        # What layers see of an image, for snapshots of the same graph without a frozen one.
        self._fields: dict[str, tuple[LayerGraph, Mapping[str, ReceptiveField]]] = {}
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
        dtype: Dtype = "float32",
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
            What to log. If left out, what leaves each box of the drawn graph: one layer for a
            convolution with its normalisation and activation, and none for a map that is only
            pooled. "all" logs every layer, except those that pass values through unchanged
            (dropout, flatten, reshape, padding).
        reduction : "sample", "mean", "first", "last" or "flatten"
            How an output with several positions becomes rows: its value at the position, the mean
            of all positions, the first or last token, or all values as so many units.
        frozen : bool
            Whether to log the frozen graph. Where it cannot be had, a warning says why and
            everything else is logged.
        batch_size : int
            Images at a time.
        progress : bool
            Whether to show a progress bar.
        dtype : "float32" or "float16"
            How activations are stored. float16 takes half the room and has 11 binary digits; a
            layer with values beyond 65504 is stored as float32 all the same, with a warning.

        Raises
        ------
        ModelFileError
            If `model` is none that we can read.
        LayerSelectionError
            If `layers` matches nothing.
        ActivationError
            If no layer is finite.
        LogDirectoryError
            If there is no room for it, or the directory cannot be written. Nothing of it is
            left then, and later calls log as usual.
        OptionError
            If an option is none of these.
        """
        self._check(name, step)
        check_options(frozen, batch_size, progress, dtype)
        # Before the model is opened, which may take long.
        layers = capture.checked_filter(layers)
        preprocessing = capture.checked_preprocessing(preprocessing, self._probe)
        one_of("reduction", reduction, REDUCTIONS)
        recording = capture.prepare(
            open_model(model, self._probe), self._probe, preprocessing, layers, reduction
        )
        if not is_chief(model):
            recording.take_part(batch_size)
            return
        observed = Observed(recording)
        self._log(name, recording, step, frozen, batch_size, progress, dtype, observed)
        observed.warn(name, stacklevel=3)
        if progress:
            say_accuracy(name, observed.accuracy())

    def add_recording(
        self,
        name: str,
        recording: capture.Recording,
        step: int = 0,
        frozen: bool = True,
        batch_size: int = 32,
        progress: bool = True,
        dtype: Dtype = "float32",
    ) -> None:
        """`add_model` for a model that was made ready before, as when it is logged repeatedly.

        Parameters
        ----------
        name : str
        recording : Recording
            The model, made ready.
        step : int
        frozen : bool
        batch_size : int
        progress : bool
        dtype : "float32" or "float16"
            This and the others as for `add_model`.
        """
        self._check(name, step)
        check_options(frozen, batch_size, progress, dtype)
        if not is_chief():
            recording.take_part(batch_size)
            return
        self._log(name, recording, step, frozen, batch_size, progress, dtype)

    def _log(
        self,
        name: str,
        recording: capture.Recording,
        step: int,
        frozen: bool,
        batch_size: int,
        progress: bool,
        dtype: Dtype,
        observed: Observed | None = None,
    ) -> None:
        graph_def, problem = frozen_or_why_not(name, recording) if frozen else (None, None)
        batches = recording.batches(batch_size)
        if progress:
            batches = with_progress(batches, self._probe, batch_size, name, dtype)
        if observed is not None:
            batches = observed.watching(batches)
        graph = annotate(recording.model.graph)
        if graph_def is not None:
            self._fields[name] = graph, fields_of(graph_def)
        seen, fields = self._fields.get(name, (None, {}))
        try:
            with writing_below(self._run_dir):
                index, left_out = write_snapshot(
                    self._run_dir,
                    self._run.probe_record(),
                    name,
                    int(step),
                    recording.layers,
                    batches,
                    graph,
                    frozen=graph_def,
                    frozen_problem=problem,
                    preprocessing=recording.preprocessing,
                    fields=fields if seen == graph else {},
                    dtype=dtype,
                    known=self._run.arrays_of(name),
                )
                self._run.record(index, graph)
        except LogDirectoryError:
            for _ in batches:  # other processes may be computing together with this one
                pass
            raise
        warn_of_left_out(name, left_out, stacklevel=4)  # two methods are between

    def add_activations(
        self,
        name: str,
        activations: Mapping[str, npt.ArrayLike],
        step: int = 0,
        graph: LayerGraph | None = None,
        dtype: Dtype = "float32",
    ) -> None:
        """Log activations that were computed elsewhere, by any framework.

        Parameters
        ----------
        name : str
            The model's name.
        activations : mapping of layer name to array (rows, units)
            In the order of the layers; row r is at the probe's position r.
        step : int
            Of training.
        graph : LayerGraph, optional
            Its nodes called as the layers are marked as logged. A chain if left out.
        dtype : "float32" or "float16"
            As for `add_model`.

        Raises
        ------
        ActivationError
            If an array has another shape than (probe.rows, units), is not of real numbers,
            or none is free of NaN, infinity and values beyond float32.
        LogDirectoryError
            As `add_model`.
        """
        self._check(name, step)
        one_of("dtype", dtype, DTYPES)
        layers, sampled, graph = checked_activations(activations, graph)
        if not is_chief():
            return
        with writing_below(self._run_dir):
            index, left_out = write_snapshot(
                self._run_dir,
                self._run.probe_record(),
                name,
                int(step),
                layers,
                [sampled],
                graph,
                dtype=dtype,
                known=self._run.arrays_of(name),
            )
            self._run.record(index, graph)
        warn_of_left_out(name, left_out, stacklevel=3)

    def add_alignment(
        self, name: str, a: Named | tuple[str, int], b: Named | tuple[str, int], lines: Lines
    ) -> None:
        """Add your own similarity of the layers of two models, which the tab draws.

        The tab lists it among the measures, under its name, where these two snapshots are compared.
        It has no interval and no null, as nobody knows how it was made.

        Parameters
        ----------
        name : str
            What it is called. One that is added again for the same snapshots takes the place of
            the former.
        a, b : Snapshot, str or (str, int)
            A snapshot; "LOGDIR:RUN@STEP", such as "logs:googlenet@0"; or name and step of a model
            that was logged to this run.
        lines : mapping or array
            As for `show`: ``{("conv1", "block1"): 0.8}``, ``{"conv1": {"block1": 0.8}}``, or an
            array (layers of a, layers of b). Pairs that are not named, and NaN, have no line.

        Raises
        ------
        UnknownSnapshotError
            If there is no such snapshot.
        ProbeMismatchError
            If the snapshots were logged on different probes.
        LayerSelectionError
            If lines name a layer that its model does not have.
        OptionError
            If lines are neither a mapping nor an array of the right shape, or hold no number.
        LogDirectoryError
            As `add_model`.
        """
        self._check(name, 0)
        first, second = (opened(one, self._run_dir) for one in (a, b))
        require_same_probe(first, second)
        values = line_values(lines, first, second)
        if is_chief():
            self._run.begin()
            write_alignment(self._run_dir, name, first, second, values)

    def logged_steps(self, name: str) -> list[int]:
        """The steps at which the run holds a snapshot of `name`, in the order of their logging.

        Those that earlier processes logged are among them.

        Parameters
        ----------
        name : str

        Returns
        -------
        list of int
        """
        return self._run.logged_steps(name)

    def remove(self, name: str, step: int) -> None:
        """Free the disk space of a snapshot of this run; it is listed no more.

        Nothing happens if there is none, or in a process that does not write.

        Parameters
        ----------
        name : str
        step : int
        """
        self._check(name, step)
        if is_chief():
            self._run.remove(name, step)

    def flush(self) -> None:
        """Nothing is held back: a snapshot is on the disk once logged."""

    def close(self) -> None:
        """Close the event file. Idempotent."""
        self._closed = True
        self._run.close()

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
        checked_name(name)
        checked_step(step)

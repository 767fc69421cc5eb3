"""A Keras callback that logs snapshots while a model trains."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from tb_modelcompare.capture import contract as capture
from tb_modelcompare.capture.chief import is_chief
from tb_modelcompare.capture.keras import open_model
from tb_modelcompare.errors.checks import one_of, whole
from tb_modelcompare.log.entries import checked_name
from tb_modelcompare.log.format import DTYPES, Dtype
from tb_modelcompare.log.removal import first_and_last
from tb_modelcompare.log.writer import SummaryWriter
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.sampling import REDUCTIONS, Reduction


class ModelCompareCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Log what the model computes on a probe: at the start, every so often, and at the end.

    Parameters
    ----------
    log_dir : path
        The run's directory.
    probe : Probe
        Stored once per run.
    every : int
        Epochs between snapshots; updates of the weights, if `unit` is "step".
    layers : list of names, regular expression or predicate of a `Node`, optional
        As in `SummaryWriter.add_model`.
    reduction : "sample", "mean", "first", "last" or "flatten"
        As in `SummaryWriter.add_model`.
    keep : int, optional
        At most so many snapshots stay on the disk: the first and the latest. Those of the same
        name that earlier processes logged to this run count as well; others are never deleted.
        All stay if left out.
    name : str, optional
        The snapshots' name; the model's if left out.
    preprocessing : Preprocessing, optional
        What the model wants; RGB in [0, 1] if left out.
    frozen : "ends", "all" or "none"
        Which snapshots get the frozen graph that rendering needs: the first and the last, all,
        or none.
    unit : "epoch" or "step"
    batch_size : int
        Probe images at a time.
    dtype : "float32" or "float16"
        As in `SummaryWriter.add_model`.

    Raises
    ------
    ModelCompareError
        If an option has another value, or `log_dir` is not a directory. It is raised before
        training.

    Notes
    -----
    A snapshot's step is the optimiser's count of updates, so that resumed training goes on from
    where it was, and gradients that are accumulated count once. Where one call of Keras stands
    for several updates (`steps_per_execution`), the snapshot is of the first state that Keras
    shows at or after a multiple of `every`, under the step of that state. After the model is
    compiled anew the optimiser counts from 0 and the steps go on from the last.

    In distributed training give the callback to every process: all compute, as one that holds
    only a part of the parameters cannot compute without the others, and only the chief writes.

    Training is never interrupted: whatever goes wrong here (a full disk, a model that a probe
    cannot feed) is one warning for each kind of error, and the next snapshot is tried when it is
    due. `seconds` is the time that logging took so far.
    """

    def __init__(
        self,
        log_dir: str | Path,
        probe: Probe,
        every: int = 1,
        *,
        layers: capture.LayerFilter | None = None,
        reduction: Reduction = "sample",
        keep: int | None = None,
        name: str | None = None,
        preprocessing: Preprocessing | None = None,
        frozen: str = "ends",
        unit: str = "epoch",
        batch_size: int = 32,
        dtype: Dtype = "float32",
    ) -> None:
        super().__init__()
        if keep is not None:
            whole("keep", keep, least=2)  # the first and the last
        self.seconds = 0.0
        self._log_dir = log_dir
        self._writer = SummaryWriter(log_dir, probe)
        self._probe = probe
        self._every = whole("every", every, least=1)
        self._layers = capture.checked_filter(layers)
        self._reduction = one_of("reduction", reduction, REDUCTIONS)
        self._keep = keep
        self._name = None if name is None else checked_name(name)
        self._preprocessing = capture.checked_preprocessing(preprocessing, probe)
        self._frozen = one_of("frozen", frozen, ("ends", "all", "none"))
        self._unit = one_of("unit", unit, ("epoch", "step"))
        self._batch_size = whole("batch_size", batch_size, least=1)
        self._dtype = one_of("dtype", dtype, DTYPES)
        self._recording: capture.Recording | None = None
        self._warned: set[type[Exception]] = set()
        # Of the last snapshot.
        self._step, self._with_graph = 0, False
        # The last batch of this epoch, all batches, and those since updates were last read.
        self._batch, self._batches, self._unread = -1, 0, 0
        self._updates, self._pace = 0, self._every
        self._optimizer: Any = None
        self._offset = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Log the model as it is before training."""
        self._recording = None  # of another `fit`, perhaps with another model
        with self._training_first():
            self._writer.close()  # of a `fit` that was interrupted
            self._writer = SummaryWriter(self._log_dir, self._probe)
            self._follow_optimizer()
            self._log(at_begin=True, at_end=True)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Batches are counted from 0 in every epoch."""
        self._batch = -1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Log if a multiple of `every` steps has been reached or passed."""
        passed, self._batch = batch - self._batch, batch
        self._batches += passed
        if self._unit != "step":
            return
        self._unread += passed
        # To read the optimiser's count is to wait for the device, so that is done once a
        # multiple can have been reached. A call stands for several batches where
        # steps_per_execution says so, and a batch for a part of an update where gradients are
        # accumulated.
        if self._unread * self._pace >= self._every - self._updates % self._every:
            with self._training_first():
                before, self._updates = self._updates, self._count()
                self._pace = max(1, math.ceil((self._updates - before) / self._unread))
                self._unread = 0
                if self._updates // self._every > before // self._every:
                    self._log()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log if a multiple of `every` epochs has passed; the last one is left to the end."""
        is_last = epoch + 1 == (self.params or {}).get("epochs")
        if self._unit == "epoch" and (epoch + 1) % self._every == 0 and not is_last:
            with self._training_first():
                self._log()

    def on_train_end(self, logs: Any = None) -> None:
        """Log the trained model, and close the event file."""
        with self._training_first():
            self._log(at_end=True)
        with self._training_first():
            self._writer.close()

    @contextlib.contextmanager
    def _training_first(self) -> Iterator[None]:
        """What fails in here is one warning for each kind of error, and never ends a training."""
        started = time.perf_counter()
        try:
            yield
        except Exception as error:  # noqa: BLE001 (a training run is worth more than its log)
            if type(error) not in self._warned:
                self._warned.add(type(error))
                warnings.warn(
                    f"a model comparison snapshot was not logged, training goes on: "
                    f"{type(error).__name__}: {error}",
                    stacklevel=4,
                )
        finally:
            self.seconds += time.perf_counter() - started

    def _follow_optimizer(self) -> None:
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not self._optimizer:  # compiled anew: it counts anew, the steps go on
            self._optimizer, self._offset = optimizer, 0
            self._offset = max(0, self._step - self._count())
        self._updates, self._unread, self._pace = self._count(), 0, self._every

    def _count(self) -> int:
        """Updates of the weights so far; batches, where there is no optimiser to count them."""
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None:
            return self._batches
        return self._offset + int(keras.ops.convert_to_numpy(optimizer.iterations))

    def _log(self, at_begin: bool = False, at_end: bool = False) -> None:
        frozen = self._frozen == "all" or (at_end and self._frozen == "ends")
        step = self._count()
        if not at_begin and step == self._step and (self._with_graph or not frozen):
            return  # nothing was trained since
        # Also where this fails: all processes of a distributed training decide the same.
        self._step, self._with_graph = step, frozen
        if self._recording is None:
            self._recording = capture.prepare(
                open_model(self.model, capture.Feed.of(self._probe)),
                self._probe,
                self._preprocessing,
                self._layers,
                self._reduction,
            )
        if not is_chief(self.model):
            self._recording.take_part(self._batch_size)
            return
        name = self._name or self.model.name
        if self._keep is not None:
            self._writer.logged_steps(name)  # so that what this one takes the place of is freed
        self._writer.add_recording(
            name, self._recording, step, frozen, self._batch_size, False, self._dtype
        )
        if self._keep is not None:
            # Those of earlier processes count as well, in the order in which they were logged.
            steps = self._writer.logged_steps(name)
            first = min(steps)
            steps = [first, *(step for step in steps if step != first)]
            kept = first_and_last(len(steps), self._keep)
            for surplus in [step for i, step in enumerate(steps) if i not in kept]:
                self._writer.remove(name, surplus)

"""A Keras callback that logs snapshots while a model trains."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import keras

from tb_modelcompare import capture
from tb_modelcompare.errors import ModelCompareError
from tb_modelcompare.keras import open_model
from tb_modelcompare.probe import Preprocessing, Probe
from tb_modelcompare.sampling import REDUCTIONS, Reduction
from tb_modelcompare.summary import SummaryWriter


class ModelCompareCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Log what the model computes on a probe: at the start, every so often, and at the end.

    Parameters
    ----------
    log_dir : path
        The run's directory.
    probe : Probe
        Stored once per run.
    every : int
        Epochs between snapshots; training steps, if `unit` is "step".
    layers : list of names, regular expression or predicate of a `Node`, optional
        As in `SummaryWriter.add_model`.
    reduction : "sample", "mean", "first" or "flatten"
        As in `SummaryWriter.add_model`.
    keep : int, optional
        At most so many snapshots stay on the disk: the first and the latest. All if left out.
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

    A snapshot's step is the optimiser's count of updates, so that resumed training goes on from
    where it was. In distributed training only the chief logs.

    Training is never interrupted: whatever goes wrong here (a full disk, a model that a probe
    cannot feed) is one warning, and the next snapshot is tried when it is due. `seconds` is the
    time that logging took so far.
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
    ) -> None:
        super().__init__()
        if every < 1:
            raise ModelCompareError(f"every is {every}; give 1 or more")
        if keep is not None and keep < 2:
            raise ModelCompareError(f"keep is {keep}; give 2 or more (the first and the last)")
        if frozen not in ("ends", "all", "none"):
            raise ModelCompareError(f'frozen is {frozen!r}; give "ends", "all" or "none"')
        if reduction not in REDUCTIONS:
            raise ModelCompareError(f"reduction is {reduction!r}; give one of {REDUCTIONS}")
        if unit not in ("epoch", "step"):
            raise ModelCompareError(f'unit is {unit!r}; give "epoch" or "step"')
        self.seconds = 0.0
        self._writer = SummaryWriter(log_dir, probe)
        self._probe = probe
        self._every = every
        self._layers = layers
        self._reduction = reduction
        self._keep = keep
        self._name = name
        self._preprocessing = preprocessing
        self._frozen = frozen
        self._unit = unit
        self._batch_size = batch_size
        self._recording: capture.Recording | None = None
        self._logged: list[int] = []
        self._with_graph: set[int] = set()
        self._updates = 0
        self._warned = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Log the model as it is before training."""
        self._recording = None  # of another `fit`, perhaps with another model
        self._snapshot(at_end=True)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Log if a multiple of `every` steps has passed."""
        self._updates += 1
        if self._unit == "step" and self._updates % self._every == 0:
            self._snapshot()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log if a multiple of `every` epochs has passed; the last one is left to the end."""
        is_last = epoch + 1 == (self.params or {}).get("epochs")
        if self._unit == "epoch" and (epoch + 1) % self._every == 0 and not is_last:
            self._snapshot()

    def on_train_end(self, logs: Any = None) -> None:
        """Log the trained model."""
        self._snapshot(at_end=True)

    def _snapshot(self, at_end: bool = False) -> None:
        started = time.perf_counter()
        try:
            if _is_chief(self.model):
                self._log(self._frozen == "all" or (at_end and self._frozen == "ends"))
        except Exception as error:  # noqa: BLE001 (a training run is worth more than its log)
            if not self._warned:
                warnings.warn(
                    f"a model comparison snapshot was not logged, training goes on: "
                    f"{type(error).__name__}: {error}",
                    stacklevel=2,
                )
                self._warned = True
        finally:
            self.seconds += time.perf_counter() - started

    def _log(self, frozen: bool) -> None:
        if self._recording is None:
            self._recording = capture.prepare(
                open_model(self.model, capture.Feed.of(self._probe)),
                self._probe,
                self._preprocessing,
                self._layers,
                self._reduction,
            )
        optimizer = getattr(self.model, "optimizer", None)
        step = self._updates
        if optimizer is not None:
            step = int(keras.ops.convert_to_numpy(optimizer.iterations))
        if step in self._logged and (not frozen or step in self._with_graph):
            return
        name = self._name or self.model.name
        self._writer.add_recording(
            name, self._recording, step, frozen, self._batch_size, progress=False
        )
        if frozen:
            self._with_graph.add(step)
        if step not in self._logged:
            self._logged.append(step)
        if self._keep is not None and len(self._logged) > self._keep:
            self._writer.remove(name, self._logged.pop(1))


def _is_chief(model: Any) -> bool:
    """Whether this process is the one that logs, where several train together."""
    extended = getattr(getattr(model, "distribute_strategy", None), "extended", None)
    return bool(getattr(extended, "should_save_summary", True))

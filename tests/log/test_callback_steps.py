"""At which steps a callback logs, and which snapshots it keeps, however training is cut up."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.log.reader import list_snapshots

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")
from tb_modelcompare.keras import ModelCompareCallback  # noqa: E402

COUNT = 40
DATA = np.random.default_rng(0).random((COUNT, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def probe() -> Probe:
    return Probe(np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8))


def network(optimizer: Any = "sgd", **options: Any) -> Any:
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D(name="average"),
         keras.layers.Dense(2, name="classes")],
        name="small",
    )  # fmt: skip
    model.compile(optimizer, "mse", **options)
    return model


def fit(model: Any, callback: Any, epochs: int = 1, **options: Any) -> None:
    """Batches of one: 40 steps an epoch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model.fit(
            DATA, np.zeros((COUNT, 2)), batch_size=1, epochs=epochs, verbose=0,
            callbacks=[callback], **options,
        )  # fmt: skip


def logger(root: Path, probe: Probe, **options: Any) -> Any:
    options = {"every": 10, "unit": "step", "frozen": "none", **options}
    return ModelCompareCallback(root / "run", probe, **options)


def steps(root: Path, name: str = "small") -> list[int]:
    return [s.step for s in list_snapshots(root).snapshots if s.name == name]


def on_disk(root: Path) -> int:
    folder = root / "run/plugins/modelcompare/snapshots"
    return sum(any(directory.iterdir()) for directory in folder.iterdir())


@pytest.mark.parametrize(
    ("per_call", "expected"),
    [
        (1, [0, 10, 20, 30, 40]),
        (5, [0, 10, 20, 30, 40]),
        (10, [0, 10, 20, 30, 40]),
        # The first state that Keras shows at or after a multiple of ten.
        (4, [0, 12, 20, 32, 40]),
        (20, [0, 20, 40]),
        (7, [0, 14, 21, 35, 40]),
    ],
)
def test_several_steps_in_one_call(
    tmp_path: Path, probe: Probe, per_call: int, expected: list[int]
) -> None:
    fit(network(steps_per_execution=per_call), logger(tmp_path, probe))
    assert steps(tmp_path) == expected


def test_over_epochs_that_are_no_multiple(tmp_path: Path, probe: Probe) -> None:
    fit(network(steps_per_execution=5), logger(tmp_path, probe, every=15), epochs=2)
    assert steps(tmp_path) == [0, 15, 30, 45, 60, 75, 80]


def test_gradients_that_are_accumulated_count_once(tmp_path: Path, probe: Probe) -> None:
    optimizer = keras.optimizers.SGD(gradient_accumulation_steps=4)
    fit(network(optimizer), logger(tmp_path, probe, every=3), epochs=2)
    assert steps(tmp_path) == [0, 3, 6, 9, 12, 15, 18, 20]


def test_several_updates_in_one_step_of_training(tmp_path: Path, probe: Probe) -> None:
    class Twice(keras.Sequential):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            super().train_step(data)
            return super().train_step(data)

    model = Twice([keras.Input((8, 8, 3)), keras.layers.GlobalAveragePooling2D()], name="small")
    model.compile("sgd", "mse")
    model.add(keras.layers.Dense(2))
    fit(model, logger(tmp_path, probe))
    assert steps(tmp_path) == [0, 10, 20, 30, 40, 50, 60, 70, 80]


def test_the_optimisers_count_is_read_only_when_a_snapshot_can_be_due(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read it is to wait for the device."""
    model, reads = network(), []
    read = keras.ops.convert_to_numpy

    def counted(value: Any) -> Any:
        if value is model.optimizer.iterations:
            reads.append(value)
        return read(value)

    monkeypatch.setattr(keras.ops, "convert_to_numpy", counted)
    fit(model, logger(tmp_path, probe, every=20))
    assert steps(tmp_path) == [0, 20, 40]
    assert 3 <= len(reads) < 12  # of 40 batches


def test_resumed_training_goes_on_at_its_multiples(tmp_path: Path, probe: Probe) -> None:
    model = network()
    fit(model, logger(tmp_path, probe, every=30))
    model.save(tmp_path / "model.keras")
    fit(keras.saving.load_model(tmp_path / "model.keras"), logger(tmp_path, probe, every=30))
    assert steps(tmp_path) == [0, 30, 40, 60, 80]


def test_one_callback_in_two_fits(tmp_path: Path, probe: Probe) -> None:
    model, callback = network(), logger(tmp_path, probe, every=30)
    fit(model, callback)
    fit(model, callback)
    assert steps(tmp_path) == [0, 30, 40, 60, 80]


@pytest.mark.parametrize("unit", ["step", "epoch"])
def test_a_model_that_is_compiled_anew_goes_on(tmp_path: Path, probe: Probe, unit: str) -> None:
    """Its optimiser counts from 0 again, and nothing that was logged is lost."""
    model, callback = network(), logger(tmp_path, probe, every=1 if unit == "epoch" else 30)
    callback = logger(tmp_path, probe, every=1 if unit == "epoch" else 20, unit=unit)
    fit(model, callback)
    model.compile("adam", "mse")
    fit(model, callback)
    expected = [0, 20, 40, 60, 80] if unit == "step" else [0, 40, 80]
    assert steps(tmp_path) == expected


def test_epochs_of_a_resumed_training(tmp_path: Path, probe: Probe) -> None:
    model = network(steps_per_execution=10)
    fit(model, logger(tmp_path, probe, every=2, unit="epoch"), epochs=3)
    callback = logger(tmp_path, probe, every=2, unit="epoch")
    fit(model, callback, epochs=7, initial_epoch=3)
    assert steps(tmp_path) == [0, 80, 120, 160, 240, 280]


def test_keep_counts_what_earlier_processes_logged(tmp_path: Path, probe: Probe) -> None:
    """A new callback stands for a new process; what it logs is in the log alone."""
    model = network()
    for _ in range(3):
        fit(model, logger(tmp_path, probe, keep=3))
    assert steps(tmp_path) == [0, 110, 120]
    assert on_disk(tmp_path) == 3
    assert list_snapshots(tmp_path).problems == ()


def test_keep_leaves_other_models_and_runs_alone(tmp_path: Path, probe: Probe) -> None:
    layers = {"layer": np.ones((probe.rows, 2))}
    for run in ("run", "run/below"):
        with SummaryWriter(tmp_path / run, probe) as writer:
            for step in range(5):
                writer.add_activations("other", layers, step)
                writer.add_activations("small" if run == "run/below" else "smaller", layers, step)
    model = network()
    for _ in range(2):
        fit(model, logger(tmp_path, probe, keep=2))
    snapshots = list_snapshots(tmp_path).snapshots
    assert [s.step for s in snapshots if (s.run, s.name) == ("run", "small")] == [0, 80]
    others = [s for s in snapshots if (s.run, s.name) != ("run", "small")]
    assert len(others) == 20
    assert all(s.activations("layer").shape == (probe.rows, 2) for s in others)


def test_keep_when_training_starts_over_in_the_same_run(tmp_path: Path, probe: Probe) -> None:
    """The new training's snapshots stay, though their steps are lower than the old one's."""
    fit(network(), logger(tmp_path, probe, keep=3))
    assert steps(tmp_path) == [0, 30, 40]
    fit(network(), logger(tmp_path, probe, keep=3, every=7), steps_per_epoch=20)
    assert steps(tmp_path) == [0, 14, 20]
    assert on_disk(tmp_path) == 3


def test_the_event_file_is_closed_when_training_ends(tmp_path: Path, probe: Probe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        callback = logger(tmp_path, probe)
        unraisable = []
        fit(network(), callback)
        import sys

        hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
        try:
            del callback
            gc.collect()
        finally:
            sys.unraisablehook = hook
    assert [u for u in unraisable if u.exc_type is ResourceWarning] == []


def test_a_fit_after_an_interrupted_one(tmp_path: Path, probe: Probe) -> None:
    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 14:
                raise KeyboardInterrupt

    model, callback = network(), logger(tmp_path, probe)
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            DATA, np.zeros((COUNT, 2)), batch_size=1, verbose=0, callbacks=[callback, Interrupt()]
        )
    fit(model, callback)
    assert steps(tmp_path) == [0, 10, 15, 20, 30, 40, 50, 55]


def test_each_kind_of_error_is_said_once_and_training_goes_on(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([OSError(28, "No space left on device")] * 2 + [RuntimeError("a defect")] * 9)
    callback = logger(tmp_path, probe)

    def fail(*_: Any) -> None:
        raise next(errors)

    monkeypatch.setattr("tb_modelcompare.log.writing.publish", fail)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(network(), callback)
    said = [str(w.message) for w in caught if "training goes on" in str(w.message)]
    assert len(said) == 2
    assert "LogDirectoryError" in said[0]
    assert "No space left" in said[0]
    assert "RuntimeError: a defect" in said[1]

"""Snapshots while a Keras model trains."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe
from tb_modelcompare.errors import LogDirectoryError, ModelCompareError
from tb_modelcompare.log.reader import list_snapshots

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
from tb_modelcompare.keras import ModelCompareCallback  # noqa: E402


def network() -> Any:
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
         keras.layers.BatchNormalization(name="norm"),
         keras.layers.GlobalAveragePooling2D(name="average"),
         keras.layers.Dense(2, name="classes")],
        name="small",
    )  # fmt: skip
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


DATA = np.random.default_rng(0).random((12, 32, 32, 3)).astype(np.float32)
LABELS = np.arange(12) % 2


def fit(model: Any, callback: Any, epochs: int = 4, **options: Any) -> Any:
    return model.fit(
        DATA, LABELS, batch_size=4, epochs=epochs, verbose=0, callbacks=[callback], **options
    )


def test_start_every_epoch_and_end(tmp_path: Path, probe: Probe) -> None:
    model = network()
    callback = ModelCompareCallback(tmp_path / "run", probe, every=2, layers=["conv", "classes"])
    before = model.layers[0](probe.images / np.float32(255)).numpy()
    fit(model, callback, epochs=5)
    snapshots = list_snapshots(tmp_path).snapshots
    assert [s.id for s in snapshots] == [f"run/small@{step}" for step in (0, 6, 12, 15)]
    assert [s.frozen is not None for s in snapshots] == [True, False, False, True]
    u, v = (probe.positions[0] * 30).astype(int)
    np.testing.assert_allclose(snapshots[0].activations("conv")[0], before[0, u, v], atol=1e-5)
    after = model.predict([probe.images / np.float32(255)], verbose=0)
    np.testing.assert_allclose(snapshots[-1].activations("classes")[::3], after, atol=1e-5)
    assert callback.seconds > 0
    assert len(list((tmp_path / "run/plugins/modelcompare/probes").iterdir())) == 1


def test_training_is_the_same_with_and_without(tmp_path: Path, probe: Probe) -> None:
    weights = []
    for callbacks in ([], [ModelCompareCallback(tmp_path, probe)]):
        keras.utils.set_random_seed(3)
        model = network()
        model.fit(DATA, LABELS, batch_size=4, epochs=2, verbose=0, callbacks=callbacks)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_step_and_keep(tmp_path: Path, probe: Probe) -> None:
    callback = ModelCompareCallback(tmp_path / "run", probe, every=2, unit="step", keep=3)
    fit(network(), callback)
    listing = list_snapshots(tmp_path)
    assert [s.step for s in listing.snapshots] == [0, 10, 12]
    assert listing.problems == ()
    assert all(s.all_activations() for s in listing.snapshots)
    stored = [
        d for d in (tmp_path / "run/plugins/modelcompare/snapshots").iterdir() if any(d.iterdir())
    ]
    assert len(stored) == 3


def test_resumed_training_goes_on(tmp_path: Path, probe: Probe) -> None:
    model = network()
    fit(model, ModelCompareCallback(tmp_path / "run", probe), epochs=2)
    fit(model, ModelCompareCallback(tmp_path / "run", probe), epochs=4, initial_epoch=2)
    assert [s.step for s in list_snapshots(tmp_path).snapshots] == [0, 3, 6, 9, 12]


def test_early_stop_ends_with_a_renderable_snapshot(tmp_path: Path, probe: Probe) -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    model = network()
    callback = ModelCompareCallback(tmp_path / "run", probe)
    model.fit(DATA, LABELS, batch_size=4, epochs=9, verbose=0, callbacks=[callback, Stop()])
    snapshots = list_snapshots(tmp_path).snapshots
    assert [s.step for s in snapshots] == [0, 3, 6]
    assert snapshots[-1].frozen is not None


def test_a_full_disk_is_one_warning(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from tb_modelcompare.log import writing

    full = [True]
    publish = writing.publish

    def no_space(*arguments: Any) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        publish(*arguments)

    class Clean(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            full[0] = epoch < 2

    monkeypatch.setattr(writing, "publish", no_space)
    model = network()
    callback = ModelCompareCallback(tmp_path / "run", probe)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(
            DATA, LABELS, batch_size=4, epochs=5, verbose=0, callbacks=[callback, Clean()]
        )
    ours = [w for w in caught if "training goes on" in str(w.message)]
    assert len(ours) == 1
    assert "No space left" in str(ours[0].message)
    assert len(history.history["loss"]) == 5
    assert [s.step for s in list_snapshots(tmp_path).snapshots] == [12, 15]


def test_a_model_that_a_probe_cannot_feed_is_one_warning(tmp_path: Path, probe: Probe) -> None:
    model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    callback = ModelCompareCallback(tmp_path, probe)
    with pytest.warns(UserWarning, match="training goes on: ModelFileError"):
        model.fit(np.ones((4, 7)), np.ones((4, 2)), epochs=2, verbose=0, callbacks=[callback])
    assert list_snapshots(tmp_path).snapshots == ()


def test_tf_data_mixed_precision_and_strategy(tmp_path: Path, probe: Probe) -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            model = network()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    data = tf.data.Dataset.from_tensor_slices((DATA, LABELS)).batch(4)
    model.fit(data, epochs=2, verbose=0, callbacks=[ModelCompareCallback(tmp_path, probe)])
    snapshots = list_snapshots(tmp_path).snapshots
    assert [s.step for s in snapshots] == [0, 3, 6]
    assert snapshots[-1].activations("norm").dtype == np.float32


TWO_REPLICAS = """
import keras, numpy as np, tensorflow as tf
from tb_modelcompare import Probe
from tb_modelcompare.keras import ModelCompareCallback
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, name="conv"),
                              keras.layers.GlobalAveragePooling2D(name="average")], name="small")
    model.compile("sgd", "mse")
probe = Probe(np.load("images.npy"))
data = np.ones((12, 16, 16, 3), "float32")
model.fit(data, np.ones((12, 4)), batch_size=4, epochs=2, verbose=0,
          callbacks=[ModelCompareCallback("run", probe)])
average = keras.Model(model.inputs, model.get_layer("average").output)
np.save("average.npy", average(probe.images / np.float32(255)))
assert strategy.num_replicas_in_sync == 2
"""


@pytest.mark.slow
def test_two_replicas_log_once(tmp_path: Path) -> None:
    """In a process of its own: devices are laid out before TensorFlow starts."""
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    path = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    snapshots = list_snapshots(tmp_path).snapshots
    assert [s.step for s in snapshots] == [0, 3, 6]
    expected = np.load(tmp_path / "average.npy")
    np.testing.assert_allclose(snapshots[-1].activations("average"), expected, atol=1e-5)


def test_workers_that_are_not_the_chief_log_nothing(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = network()
    monkeypatch.setattr(
        type(strategy.extended), "should_save_summary", property(lambda extended: False)
    )
    fit(model, ModelCompareCallback(tmp_path / "run", probe), epochs=1)
    assert list_snapshots(tmp_path).snapshots == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every is 0; it must be a whole number at least 1"),
        ({"every": True}, "every is True"),
        ({"every": 2.5}, "every is 2.5"),
        ({"every": "2"}, "every is '2'"),
        ({"keep": 1}, "keep is 1; it must be a whole number at least 2"),
        ({"keep": 3.0}, "keep is 3.0"),
        ({"frozen": "sometimes"}, "must be 'ends', 'all' or 'none'"),
        ({"frozen": True}, "frozen is True"),
        ({"unit": "hour"}, "must be 'epoch' or 'step'"),
        ({"reduction": "sum"}, "'sample', 'mean', 'first', 'last' or 'flatten'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"name": ""}, "1 to 200 printable characters"),
        ({"name": 7}, "name is 7"),
        ({"name": "x" * 201}, "1 to 200 printable characters"),
        ({"layers": "("}, "malformed"),
        ({"layers": 3}, "layers is 3; give a list of names"),
        ({"layers": [1, 2]}, "give a list of names"),
        ({"preprocessing": "tf"}, "preprocessing is 'tf'; give a Preprocessing"),
    ],
)
def test_bad_options_are_refused_before_training(
    tmp_path: Path, probe: Probe, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelCompareError, match=re.escape(message)):
        ModelCompareCallback(tmp_path, probe, **options)


def test_what_is_no_log_directory_or_probe_is_refused_before_training(
    tmp_path: Path, probe: Probe
) -> None:
    (tmp_path / "file").touch()
    for log_dir in (tmp_path / "file", "", None, 3, "gs://bucket/run", "a\0b"):
        with pytest.raises(LogDirectoryError):
            ModelCompareCallback(log_dir, probe)  # type: ignore[arg-type]
    with pytest.raises(ModelCompareError, match="give a Probe"):
        ModelCompareCallback(tmp_path, DATA)  # type: ignore[arg-type]

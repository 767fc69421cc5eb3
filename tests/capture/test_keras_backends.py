"""The callback while Keras trains on JAX or PyTorch. A process has one backend for its life."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from patience import HANG

from tb_modelcompare import Probe
from tb_modelcompare.log.reader import list_snapshots

TRAINING = """
import random
import sys
import keras
import numpy as np
from tb_modelcompare import Probe, SummaryWriter

probe = Probe(np.load("images.npy"), positions_per_image=2)
random.seed(0)  # keras.utils.set_random_seed imports TensorFlow
model = keras.Sequential(
    [keras.Input((16, 16, 3)),
     keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv"),
     keras.layers.BatchNormalization(name="norm"),
     keras.layers.MaxPooling2D(padding="same", name="pool"),
     keras.layers.GlobalAveragePooling2D(name="average"),
     keras.layers.Dense(2, name="classes")], name="small")
with SummaryWriter("alone", probe) as writer:
    writer.add_model("net", model, progress=False, frozen=False)
if keras.backend.backend() == "torch":  # whose activations need no TensorFlow
    assert "tensorflow" not in sys.modules

from tb_modelcompare.keras import ModelCompareCallback
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
callback = ModelCompareCallback("run", probe, every=2, unit="step")
data = np.random.default_rng(0).random((12, 16, 16, 3)).astype("float32")
model.fit(data, np.arange(12) % 2, batch_size=4, epochs=2, verbose=0, callbacks=[callback])
np.save("classes.npy", model.predict(probe.images / np.float32(255), verbose=0))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_callback_on_another_backend(tmp_path: Path, backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"needs {backend}, which is not installed")
    images = np.random.default_rng(1).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-c", TRAINING],
        cwd=tmp_path,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[2]), *sys.path]),
        },
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    alone, *snapshots = list_snapshots(tmp_path).snapshots
    for name in ("norm", "classes"):
        untrained = snapshots[0].activations(name)
        np.testing.assert_allclose(alone.activations(name), untrained, atol=1e-5)
    assert [s.step for s in snapshots] == [0, 2, 4, 6]
    probe = Probe(images, positions_per_image=2)
    assert {s.probe_id for s in snapshots} == {probe.id}
    classes = snapshots[-1].activations("classes")[::2]
    np.testing.assert_allclose(classes, np.load(tmp_path / "classes.npy"), atol=1e-5)
    assert not np.allclose(snapshots[0].activations("norm"), snapshots[1].activations("norm"))
    # PyTorch's can be rendered: the module is translated. JAX's cannot, and the snapshot says so.
    assert (snapshots[-1].frozen is not None) == (backend == "torch")
    assert ("runs on jax" in (snapshots[-1].frozen_problem or "")) == (backend == "jax")

"""A frozen graph logged beside a training on a GPU leaves that GPU alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import HANG

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

# There need be no GPU: TensorFlow is asked whether it was at work when GPUs were hidden from it.
PROGRAM = """
import sys
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

hidden, devices = [], []
hide, device = tf.config.set_visible_devices, tf.device

def hide_and_tell(wanted, kind):
    hidden.append((list(wanted), kind, context.context()._context_handle is None))
    return hide(wanted, kind)

def device_and_tell(name):
    devices.append((name, context.context()._context_handle is None))
    return device(name)

tf.config.set_visible_devices, tf.device = hide_and_tell, device_and_tell
from tb_modelcompare import Probe, SummaryWriter

if "keras" in sys.argv:
    import keras
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, keras.layers.Conv2D(4, 3, name="conv")(image))
else:
    import torch
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
if "busy" in sys.argv:
    tf.zeros(())
probe = Probe(np.zeros((2, 16, 16, 3), np.uint8))
with SummaryWriter(sys.argv[1] + "/run", probe) as writer:
    writer.add_model("net", model, frozen=True, progress=False)
(first, *_), (device, *_) = hidden, devices
assert first == ([], "GPU", "busy" not in sys.argv), first
assert device[0] == "CPU", devices
from tb_modelcompare.log.reader import open_snapshot
snapshot = open_snapshot(sys.argv[1], "run")
graph = tf.compat.v1.GraphDef.FromString(snapshot.frozen_graph_path().read_bytes())
assert {node.device for node in graph.node} == {""}
print("frozen")
"""


@pytest.mark.parametrize(
    "case", ["torch", *(pytest.param(case, marks=pytest.mark.slow) for case in ("keras", "busy"))]
)
def test_gpus_are_hidden_before_tensorflows_first_operation(tmp_path: Path, case: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), case],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        timeout=HANG,
    )
    assert done.stdout.strip().endswith("frozen"), done.stderr[-2000:]

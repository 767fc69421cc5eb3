"""Which device renders run on, and that nothing is computed before it is chosen."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tb_modelcompare.cli.parser import build_parser
from tb_modelcompare.errors import DeviceError
from tb_modelcompare.loader import ModelCompareLoader
from tb_modelcompare.tensorflow_setup.device import checked_device

# TensorFlow as it would be with two GPUs: what it is asked, and whether it had begun by then.
SPY = """
import json, os, sys
import tensorflow as tf
from tensorflow.python.eager import context

calls = []
gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{i}", "GPU") for i in range(2)]
gpus = gpus[: int(sys.argv[2])]
seen = {"GPU": list(gpus)}

def begun():
    return context.context()._context_handle is not None

def set_visible(devices, kind):
    calls.append(["visible", [d.name for d in devices], begun()])
    seen[kind] = list(devices)

tf.config.list_physical_devices = lambda kind=None: list(gpus)
tf.config.get_visible_devices = lambda kind=None: list(seen["GPU"])
tf.config.set_visible_devices = set_visible
tf.config.experimental.set_memory_growth = lambda gpu, on: calls.append(
    ["growth", gpu.name, on, begun()]
)
from tb_modelcompare.errors import DeviceError
from tb_modelcompare.tensorflow_setup.quiet_import import import_tensorflow

try:
    import_tensorflow(sys.argv[1])
except DeviceError as error:
    calls.append(["error", str(error)])
print(json.dumps([calls, begun(), os.environ["TF_FORCE_GPU_ALLOW_GROWTH"]]))
"""
FIRST, SECOND = "/physical_device:GPU:0", "/physical_device:GPU:1"


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [
        ("cpu", 2, [["visible", [], False]]),
        ("gpu", 2, [["growth", FIRST, True, False], ["visible", [FIRST], False]]),
        ("auto", 1, [["growth", FIRST, True, False]]),
        ("gpu:1", 2, [["growth", SECOND, True, False], ["visible", [SECOND], False]]),
    ],
)
def test_a_device_is_chosen_before_the_first_operation(
    device: str, gpus: int, expected: list[Any]
) -> None:
    calls, begun, growth = spied(device, gpus)
    assert calls == expected
    assert (begun, growth) == (True, "true")


@pytest.mark.parametrize(("device", "gpus"), [("gpu", 0), ("gpu:2", 2)])
def test_a_device_that_is_not_there_is_named_and_nothing_is_computed(
    device: str, gpus: int
) -> None:
    (call,), begun, _ = spied(device, gpus)
    assert call[0] == "error"
    assert f"{device} was asked for and TensorFlow sees {gpus} GPUs" in call[1]
    assert not begun


def spied(device: str, gpus: int) -> Any:
    environ = {name: value for name, value in os.environ.items() if "GROWTH" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SPY, device, str(gpus)],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["cuda", "gpu:", "gpu:x", "GPU", "", "cpu:0", "gpu:1\n", "gpu:-1"])
def test_a_misnamed_device_is_refused_at_the_door(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeviceError, match="is no device"):
        checked_device(name)
    parser = argparse.ArgumentParser()
    ModelCompareLoader().define_flags(parser)
    for ask in (
        lambda: parser.parse_args(["--modelcompare_device", name]),
        lambda: build_parser().parse_args(
            ["caricature", "logs", "a", "photo.jpg", "--device", name]
        ),
    ):
        with pytest.raises(SystemExit):
            ask()
        assert "is no device; give cpu, auto, gpu" in capsys.readouterr().err


def test_a_training_beside_keeps_its_gpu_unless_asked() -> None:
    parser = argparse.ArgumentParser()
    ModelCompareLoader().define_flags(parser)
    assert parser.parse_args([]).modelcompare_device == "cpu"
    asked = build_parser().parse_args(["analogies", "logs", "a", "l:0", "b"])
    assert asked.device == "cpu"

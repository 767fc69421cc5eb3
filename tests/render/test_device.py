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

# TensorFlow as it would be with some GPUs: what it is asked, and whether it had begun by then.
# Each case has a process of its own, forked where TensorFlow is imported and has not begun.
SPY = """
import json, os, sys
sys.modules["keras"] = None  # TensorFlow imports it, which takes a while
import tensorflow as tf
from tensorflow.python.eager import context

from tb_modelcompare.errors import DeviceError
from tb_modelcompare.tensorflow_setup.quiet_import import import_tensorflow

def begun():
    return context.context()._context_handle is not None

def spy(device, count):
    calls = []
    gpus = [tf.config.PhysicalDevice(f"/physical_device:GPU:{i}", "GPU") for i in range(count)]
    seen = {"GPU": list(gpus)}

    def set_visible(devices, kind):
        calls.append(["visible", [d.name for d in devices], begun()])
        seen[kind] = list(devices)

    tf.config.list_physical_devices = lambda kind=None: list(gpus)
    tf.config.get_visible_devices = lambda kind=None: list(seen["GPU"])
    tf.config.set_visible_devices = set_visible
    tf.config.experimental.set_memory_growth = lambda gpu, on: calls.append(
        ["growth", gpu.name, on, begun()]
    )
    try:
        import_tensorflow(device)
    except DeviceError as error:
        calls.append(["error", str(error)])
    print(json.dumps([calls, begun(), os.environ["TF_FORCE_GPU_ALLOW_GROWTH"]]), flush=True)

for device, count in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        spy(device, count)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
FIRST, SECOND = "/physical_device:GPU:0", "/physical_device:GPU:1"


CHOSEN = {
    ("cpu", 2): [["visible", [], False]],
    ("gpu", 2): [["growth", FIRST, True, False], ["visible", [FIRST], False]],
    ("auto", 1): [["growth", FIRST, True, False]],
    ("gpu:1", 2): [["growth", SECOND, True, False], ["visible", [SECOND], False]],
}
ABSENT = [("gpu", 0), ("gpu:2", 2)]


@pytest.fixture(scope="module")
def spied() -> dict[tuple[str, int], Any]:
    """What TensorFlow is asked for each device, with so many GPUs."""
    cases = [*CHOSEN, *ABSENT]
    environ = {name: value for name, value in os.environ.items() if "GROWTH" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SPY, json.dumps(cases)],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]
    return dict(zip(cases, printed, strict=True))


@pytest.mark.parametrize("case", CHOSEN)
def test_a_device_is_chosen_before_the_first_operation(
    spied: dict[tuple[str, int], Any], case: tuple[str, int]
) -> None:
    calls, begun, growth = spied[case]
    assert calls == CHOSEN[case]
    assert (begun, growth) == (True, "true")


@pytest.mark.parametrize("case", ABSENT)
def test_a_device_that_is_not_there_is_named_and_nothing_is_computed(
    spied: dict[tuple[str, int], Any], case: tuple[str, int]
) -> None:
    device, gpus = case
    (call,), begun, _ = spied[case]
    assert call[0] == "error"
    assert f"{device} was asked for and TensorFlow sees {gpus} GPUs" in call[1]
    assert not begun


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

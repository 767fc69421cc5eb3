"""A log of other values, rows or axes than the framework's own is refused, and says which."""

from __future__ import annotations

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.capture import contract as capture
from tb_modelcompare.errors import ActivationError, SelfCheckWarning
from tb_modelcompare.log.reader import list_snapshots, open_snapshot
from tb_modelcompare.log.writer import open_model
from tb_modelcompare.probe.sampling import Sampled, TokenGrid

torch = pytest.importorskip("torch")
nn = torch.nn

SERIES = Probe.from_arrays(
    np.random.default_rng(3).normal(size=(5, 3, 64)).astype(np.float32), positions_per_item=3
)


def torch_net() -> Any:
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Conv2d(6, 6, 3)).eval()


class Functional(nn.Module):
    """The traced graph holds functions that no hook sees, one of them in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)

    def forward(self, x: Any) -> Any:
        x = torch.tanh(self.conv(x))
        y = torch.relu(x - 0.1)
        return torch.nn.functional.max_pool2d(y.mul_(2), 2)


def keras_net() -> Any:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)  # some weights leave the second `shared` without any activity
    inner = keras.Sequential([keras.Input((30, 30, 6)), keras.layers.Conv2D(5, 3, name="deep")])
    image = keras.Input((32, 32, 3))
    shared = keras.layers.ReLU(name="shared")
    x = shared(keras.layers.Conv2D(6, 3, name="conv")(image))
    return keras.Model(image, shared(inner(x)))


def keras_subclass() -> Any:
    keras = pytest.importorskip("keras")

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv = keras.layers.Conv2D(6, 3, name="conv")

        def call(self, x: Any) -> Any:
            return self.conv(x)

    net = Net()
    net(np.zeros((1, 32, 32, 3), np.float32))
    return net


def onnx_file(tmp_path: Path) -> Any:
    pytest.importorskip("onnx")
    file = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(torch_net(), (torch.zeros(1, 3, 32, 32),), file, dynamo=False)
    return file


def tflite_file(tmp_path: Path) -> Any:
    tf = pytest.importorskip("tensorflow")
    file = tmp_path / "net.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_keras_model(keras_net()).convert())
    return file


def saved_model(tmp_path: Path) -> Any:
    keras_net().export(str(tmp_path / "saved"), verbose=False)
    return tmp_path / "saved"


def _made(kind: Any, tmp_path: Path) -> Any:
    return kind(tmp_path) if kind in (onnx_file, tflite_file, saved_model) else kind()


KINDS = [torch_net, Functional, keras_net, keras_subclass, onnx_file, tflite_file, saved_model]


def _units_rolled(sampled: Sampled) -> Sampled:
    return dataclasses.replace(sampled, values=np.roll(sampled.values, 1, axis=1))


def _rows_rolled(sampled: Sampled) -> Sampled:
    return dataclasses.replace(sampled, values=np.roll(sampled.values, 1, axis=0))


def _one_unit_less(sampled: Sampled) -> Sampled:
    return dataclasses.replace(sampled, values=sampled.values[:, 1:])


def _corrupted(recording: capture.Recording, corrupt: Any) -> capture.Recording:
    def sampler(*given: Any) -> list[Sampled]:
        return [corrupt(sampled) for sampled in recording.sampler(*given)]

    return dataclasses.replace(recording, sampler=sampler)


@pytest.mark.filterwarnings("ignore:.*(scripting|TorchScript|tf.lite)")
@pytest.mark.parametrize("kind", KINDS)
def test_corrupted_samples_are_refused(tmp_path: Path, probe: Probe, kind: Any) -> None:
    recording = capture.prepare(open_model(_made(kind, tmp_path), probe), probe, None, None)
    assert recording.layers
    with SummaryWriter(tmp_path / "run", probe) as writer:
        for corrupt in (_units_rolled, _rows_rolled, _one_unit_less):
            broken = _corrupted(recording, corrupt)
            with pytest.raises(ActivationError, match=re.escape(repr(recording.layers[0]))):
                writer.add_recording("net", broken, frozen=False, progress=False)
        assert list_snapshots(tmp_path).snapshots == ()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            writer.add_recording("net", recording, frozen=False, progress=False)
    assert open_snapshot(tmp_path, "run").layer_names == recording.layers


def test_only_the_broken_layer_is_named(tmp_path: Path, probe: Probe) -> None:
    recording = capture.prepare(open_model(torch_net(), probe), probe, None, "all")

    def sampler(*given: Any) -> list[Sampled]:
        first, *others = recording.sampler(*given)
        return [first, _units_rolled(others[0]), *others[1:]]

    broken = dataclasses.replace(recording, sampler=sampler)
    with (
        SummaryWriter(tmp_path / "run", probe) as writer,
        pytest.raises(ActivationError, match="layer '1' differs in the log by") as caught,
    ):
        writer.add_recording("net", broken, frozen=False, progress=False)
    assert "'0'" not in str(caught.value)
    assert "'2'" not in str(caught.value)


@pytest.mark.parametrize("kind", [torch_net, onnx_file])
def test_wrong_places_are_refused(
    tmp_path: Path, probe: Probe, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, right = _made(kind, tmp_path), TokenGrid.index
    monkeypatch.setattr(
        TokenGrid, "index", lambda self, where, *more: right(self, where[..., ::-1], *more)
    )
    with SummaryWriter(tmp_path / "run", probe) as writer, pytest.raises(ActivationError):
        writer.add_model("net", model, layers="all", frozen=False, progress=False)


def test_a_transposed_series_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the capture takes for the units: the module says how many it has."""
    from tb_modelcompare.capture.torch import capture as torch_capture

    right = torch_capture.arranged

    def transposed(*given: Any) -> Any:
        how = right(*given)
        if len(how.shape) < 2:
            return how
        order = (how.order[0], *how.order[:0:-1])
        return dataclasses.replace(how, order=order, shape=how.shape[::-1])

    monkeypatch.setattr(torch_capture, "arranged", transposed)
    net = nn.Sequential(nn.Conv1d(3, 8, 5), nn.BatchNorm1d(8), nn.MaxPool1d(2))
    with (
        SummaryWriter(tmp_path / "run", SERIES) as writer,
        pytest.raises(ActivationError, match="'0' has 60 units in the log, and says itself 8"),
    ):
        writer.add_model("net", net, layers="all", frozen=False, progress=False)


def test_layers_that_mix_the_items_of_a_batch_are_named(tmp_path: Path, probe: Probe) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    with (
        SummaryWriter(tmp_path / "run", probe) as writer,
        pytest.warns(SelfCheckWarning, match="^1: what an item gives depends on the other items"),
    ):
        writer.add_model("net", net, layers="all", frozen=False, progress=False)
    assert open_snapshot(tmp_path, "run").layer_names == ("0", "1")


def test_what_the_framework_does_not_show_is_said(tmp_path: Path, probe: Probe) -> None:
    class Direct(nn.Module):
        """Calls a forward past its hooks."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.calls = nn.Conv2d(3, 4, 3), 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            through = self.calls < 4 and x.sum() > -1e30
            return self.conv(x) if through else self.conv.forward(x)

    with (
        SummaryWriter(tmp_path / "run", probe) as writer,
        pytest.warns(SelfCheckWarning, match=r"not checked against .*: conv$"),
    ):
        writer.add_model("net", Direct(), layers="all", frozen=False, progress=False)


@pytest.mark.parametrize("reduction", ["sample", "mean", "first", "flatten"])
def test_every_reduction_is_checked(tmp_path: Path, reduction: Any) -> None:
    net = nn.Sequential(nn.Conv1d(3, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(480, 3))
    recording = capture.prepare(open_model(net, SERIES), SERIES, None, None, reduction)
    broken = _corrupted(recording, _units_rolled)
    with SummaryWriter(tmp_path / "run", SERIES) as writer:
        writer.add_recording("net", recording, frozen=False, progress=False)
        with pytest.raises(ActivationError, match="forward pass"):
            writer.add_recording("net", broken, step=1, frozen=False, progress=False)


def test_half_precision_is_not_held_to_the_digits_of_float32(tmp_path: Path, probe: Probe) -> None:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model("net", torch_net().bfloat16(), layers="all", frozen=False, progress=False)

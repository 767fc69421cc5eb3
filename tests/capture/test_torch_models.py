"""PyTorch modules: activations are what the module computes, the module is untouched."""

from __future__ import annotations

import random
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.errors import ActivationError, ModelFileError
from tb_modelcompare.store import Snapshot, list_snapshots, open_snapshot

torch = pytest.importorskip("torch")
inference = pytest.importorskip("tb_modelcompare.torch.inference").inference
nn = torch.nn


class Residual(nn.Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(units, units, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(units)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(units, units, 3, padding=1)

    def forward(self, x: Any) -> Any:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.conv2(y) + x)


class Net(nn.Module):
    """Shared ReLU, residual block, functional calls, sizes read from tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.layer1 = nn.Sequential(Residual(6), Residual(6))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Any) -> Any:
        x = self.layer1(torch.relu(self.stem(x)))
        x = torch.cat([x, torch.nn.functional.max_pool2d(x, 3, 1, 1)], dim=1)
        x = x.mean(dim=(2, 3))
        x = self.dropout(x.view(x.shape[0], -1))
        return self.head(x)


class Branching(Net):
    """Control flow that depends on values: cannot be traced."""

    def forward(self, x: Any) -> Any:
        if x.sum() > -1e9:
            return super().forward(x)
        return x


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 8, stride=8)
        self.norm = nn.LayerNorm(8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: Any) -> Any:
        x = self.patch(x)
        x = self.norm(x.permute(0, 2, 3, 1))
        return self.encoder(x.reshape(x.shape[0], -1, 8)).mean(1)


def log(tmp_path: Path, probe: Probe, module: Any, **options: Any) -> Snapshot:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model("net", module, progress=False, frozen=False, **options)
    return open_snapshot(tmp_path, "run")


def images(probe: Probe) -> Any:
    return torch.from_numpy(np.moveaxis(probe.images.astype(np.float32) / 255, -1, 1).copy())


def at_positions(output: Any, probe: Probe) -> np.ndarray:
    rows = []
    for row, (u, v) in enumerate(probe.positions):
        value = output[row // probe.positions_per_image].detach().numpy()
        if value.ndim == 3:
            value = value[:, int(u * value.shape[1]), int(v * value.shape[2])]
        rows.append(value)
    return np.array(rows)


def same(snapshot: Snapshot, layer: str, output: Any, probe: Probe) -> bool:
    return np.allclose(snapshot.activations(layer), at_positions(output, probe), atol=1e-5)


def test_traced_module(tmp_path: Path, probe: Probe) -> None:
    net = Net()
    snapshot = log(tmp_path, probe, net, batch_size=4)
    assert snapshot.layer_names == (
        "stem", "relu", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu", "layer1.0.conv2",
        "layer1.0.add", "layer1.0.relu_1", "layer1.1.conv1", "layer1.1.bn1", "layer1.1.relu",
        "layer1.1.conv2", "layer1.1.add_1", "layer1.1.relu_1", "max_pool2d", "cat", "mean", "head",
    )  # fmt: skip
    net.eval()
    with torch.no_grad():
        stem = torch.relu(net.stem(images(probe)))
        assert same(snapshot, "relu", stem, probe)
        assert same(snapshot, "layer1.0.relu_1", net.layer1[0](stem), probe)
        assert same(snapshot, "head", net(images(probe)), probe)
    graph = snapshot.graph()
    assert graph.node("layer1.0.add").inputs == ("layer1.0.conv2", "relu")
    assert graph.node("head").inputs == ("dropout",)
    residual = [block for block in graph.blocks if block.kind == "residual"]
    assert [block.name for block in residual] == ["layer1.0", "layer1.1"]
    assert graph.node("layer1.0.bn1").group == "layer1.0.conv1"


def test_module_that_cannot_be_traced(tmp_path: Path, probe: Probe) -> None:
    net = Branching()
    snapshot = log(tmp_path, probe, net)
    assert snapshot.layer_names == (
        "stem", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.relu", "layer1.0.conv2",
        "layer1.0.relu_1", "layer1.1.conv1", "layer1.1.bn1", "layer1.1.relu", "layer1.1.conv2",
        "layer1.1.relu_1", "head",
    )  # fmt: skip
    net.eval()
    assert same(snapshot, "head", net(images(probe)), probe)
    assert snapshot.graph().node("layer1.0.bn1").inputs == ("layer1.0.conv1",)


def test_tokens_and_channels_last_maps(tmp_path: Path, probe: Probe) -> None:
    net = Tokens()
    snapshot = log(tmp_path, probe, net)
    assert snapshot.layer_names == ("patch", "norm", "encoder", "mean")
    assert [snapshot.layer(n).spatial for n in snapshot.layer_names] == [(4, 4)] * 3 + [None]
    net.eval()
    with torch.no_grad():
        norm = net.norm(net.patch(images(probe)).permute(0, 2, 3, 1))
        tokens = net.encoder(norm.reshape(10, 16, 8))
    assert same(snapshot, "norm", norm.permute(0, 3, 1, 2), probe)
    assert same(snapshot, "encoder", tokens.reshape(10, 4, 4, 8).permute(0, 3, 1, 2), probe)


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 5, 5)

    def forward(self, x: Any) -> Any:
        return {"maps": (self.a(x), self.b(x)), "mean": x.mean((2, 3)), "count": 3}


def test_tuples_and_dicts_are_logged_tensor_by_tensor(tmp_path: Path, probe: Probe) -> None:
    class Outer(Branching):
        """With hooks: the inner module is seen from outside alone, as it has no children."""

        def __init__(self) -> None:
            super().__init__()
            self.heads = TwoHeads()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Any) -> Any:
            first, second = self.heads(x)["maps"]
            tokens = first.flatten(2).transpose(1, 2)[:, :9]
            return self.attention(tokens, tokens, tokens), second

    net = Outer().eval()
    snapshot = log(tmp_path, probe, net)
    assert {"heads.a", "heads.b", "attention", "attention:1"} <= set(snapshot.layer_names)
    (mixed, weights), _ = net(images(probe))
    assert snapshot.layer("attention:1").units == weights.shape[-1]
    assert snapshot.graph().node("attention:1").inputs == ("attention",)
    tokens = mixed.reshape(10, 3, 3, 4).permute(0, 3, 1, 2)
    assert same(snapshot, "attention", tokens, probe)


@pytest.mark.parametrize("kind", [Net, Branching])
def test_module_is_left_as_it_was(tmp_path: Path, probe: Probe, kind: Any) -> None:
    net = kind().train()
    net.layer1[0].eval()
    flags = [(name, m.training) for name, m in net.named_modules()]
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    log(tmp_path, probe, net)
    assert [(name, m.training) for name, m in net.named_modules()] == flags
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert net(images(probe)).requires_grad


@pytest.mark.parametrize("kind", [Net, Branching])
def test_hooks_and_flags_are_restored_after_a_failure(
    tmp_path: Path, probe: Probe, kind: Any
) -> None:
    net = kind().train()
    with torch.no_grad():
        net.layer1[1].conv2.bias.fill_(float("nan"))
    with pytest.raises(ActivationError, match=r"layer1\.1\.conv2"):
        log(tmp_path, probe, net)
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks for m in net.modules())


def test_preprocessing_and_half_precision(tmp_path: Path, probe: Probe) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    snapshot = log(tmp_path, probe, net, preprocessing=Preprocessing.torch())
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    shown = (images(probe) - mean[:, None, None]) / std[:, None, None]
    assert same(snapshot, "1", net(shown), probe)
    assert snapshot.preprocessing == Preprocessing.torch()


def test_grey_module(tmp_path: Path, probe: Probe) -> None:
    snapshot = log(tmp_path, probe, nn.Sequential(nn.Conv2d(1, 4, 3)))
    assert snapshot.layer("0").spatial == (30, 30)


def test_modules_that_a_probe_cannot_feed(tmp_path: Path, probe: Probe) -> None:
    class Two(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a + b

    for module, complaint in (
        (Two(), "2 inputs"),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), "cannot be run"),
        (nn.Conv2d(5, 2, 1), "5 channels"),
    ):
        with pytest.raises(ModelFileError, match=complaint):
            log(tmp_path, probe, module)


def test_beside_torchs_own_writer(tmp_path: Path, probe: Probe) -> None:
    """One run directory, written to in turn: each reader finds all that is its own."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter as TorchWriter

    own = TorchWriter(str(tmp_path / "run"))
    own.add_scalar("loss", 1.0, 0)
    with SummaryWriter(tmp_path / "run", probe) as ours:
        for step in (0, 1):
            net = nn.Sequential(nn.Conv2d(3, 4, 3))
            ours.add_model("net", net, step=step, progress=False, frozen=False)
            own.add_scalar("loss", 0.5 - step, step + 1)
            own.flush()
    own.add_scalar("loss", 0.25, 3)
    own.close()
    listing = list_snapshots(tmp_path)
    assert [s.id for s in listing.snapshots] == ["run/net@0", "run/net@1"]
    assert listing.problems == ()
    losses: list[tuple[int, float]] = []
    for file in sorted((tmp_path / "run").glob("events*")):
        events = EventAccumulator(str(file)).Reload()
        if "loss" in events.Tags()["scalars"]:
            losses += [(e.step, e.value) for e in events.Scalars("loss")]
    assert losses == [(0, 1.0), (1, 0.5), (2, -0.5), (3, 0.25)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_modules_of_another_precision(tmp_path: Path, probe: Probe, dtype: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
    expected = net(images(probe))
    snapshot = log(tmp_path, probe, net.to(getattr(torch, dtype)))
    assert snapshot.activations("2").dtype == np.float32
    np.testing.assert_allclose(snapshot.activations("2"), at_positions(expected, probe), atol=2e-2)
    assert next(net.parameters()).dtype is getattr(torch, dtype)


class Noisy(nn.Module):
    """A variational autoencoder draws in evaluation mode as well."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3)

    def forward(self, x: Any) -> Any:
        mean = self.encoder(x)
        other = float(np.random.rand()) + random.random()
        return self.decoder(mean + torch.randn_like(mean) + other)


def test_random_draws_leave_the_trainings_generators_alone(tmp_path: Path, probe: Probe) -> None:
    net = Noisy()
    state = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    first = log(tmp_path / "first", probe, net).activations("decoder")
    torch.rand(3), np.random.rand(), random.random()
    torch.set_rng_state(state[0])
    assert torch.equal(torch.get_rng_state(), state[0])
    second = log(tmp_path / "second", probe, net).activations("decoder")
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state[0])


@pytest.mark.parametrize("draw", ["torch", "numpy", "python"])
def test_a_snapshot_moves_no_generator(tmp_path: Path, probe: Probe, draw: str) -> None:
    draws = {"torch": lambda: torch.rand(4).tolist(), "numpy": lambda: np.random.rand(4).tolist(),
             "python": random.random}  # fmt: skip
    found = []
    for logged in (False, True):
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        net = Noisy()
        if logged:
            log(tmp_path, probe, net)
        found.append(draws[draw]())
    assert found[0] == found[1]


def test_only_the_modules_own_accelerator_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnAccelerator(nn.Module):
        def buffers(self, recurse: bool = True) -> Any:
            yield types.SimpleNamespace(device=torch.device("cuda:1"))

    generators = [torch.Generator().manual_seed(i) for i in (5, 6)]
    before = [generator.get_state() for generator in generators]
    backend = types.SimpleNamespace(default_generators=generators)
    monkeypatch.setattr(torch, "get_device_module", lambda device: backend)
    draws = []
    for _ in range(2):
        with inference(OnAccelerator()):
            assert torch.equal(generators[0].get_state(), before[0])
            draws.append(torch.rand(3, generator=generators[1]).tolist())
        assert torch.equal(generators[1].get_state(), before[1])
    assert draws[0] == draws[1]


def test_branches_on_values(tmp_path: Path, probe: Probe) -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x: Any) -> Any:
            return self.a(x) if x.sum() == 0 else self.b(x)

    with pytest.raises(ModelFileError, match="does not compute a for every batch"):
        log(tmp_path, probe, Branch())


def test_errors_of_the_users_code_are_ours(tmp_path: Path, probe: Probe) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 4, 3)

        def forward(self, x: Any, ids: Any = None) -> Any:
            return self.a(x) + ids.shape[0]

    class Late(nn.Module):
        """Fails on the values of the probe alone."""

        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 4, 3)

        def forward(self, x: Any) -> Any:
            assert x.sum() == 0, "out of range"
            return self.a(x)

    plain = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    exported = torch.export.export(plain, (images(probe),)).module()
    scripted = torch.jit.script(plain)
    for module, complaint in (
        (Two(), "NoneType.*wrap it"),
        (Late(), "out of range"),
        (exported, "the module that it was exported from"),
        (scripted, "TorchScript"),
    ):
        with pytest.raises(ModelFileError, match=complaint):
            log(tmp_path, probe, module)


@pytest.mark.parametrize("kind", [Net, Branching])
def test_compiled_submodules_are_run_as_written(tmp_path: Path, probe: Probe, kind: Any) -> None:
    net = kind()
    plain = log(tmp_path / "plain", probe, net)
    net.layer1[1] = torch.compile(net.layer1[1])
    snapshot = log(tmp_path / "compiled", probe, net)
    assert snapshot.layer_names == plain.layer_names
    for layer in snapshot.layer_names:
        np.testing.assert_array_equal(snapshot.activations(layer), plain.activations(layer))


def test_names_are_those_of_the_bare_module(tmp_path: Path, probe: Probe) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert log(tmp_path, probe, nn.DataParallel(net)).layer_names == ("0", "1")
    assert log(tmp_path / "b", probe, torch.compile(net)).layer_names == ("0", "1")


def test_scripted_submodules(tmp_path: Path, probe: Probe) -> None:
    """They are seen where the module can be traced. Hooks cannot see them, nor what follows."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.script(nn.ReLU()), nn.Conv2d(4, 2, 3))
    snapshot = log(tmp_path, probe, net)
    assert {"0", "2"} <= set(snapshot.layer_names)
    assert same(snapshot, "2", net(images(probe)), probe)

    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net

        def forward(self, x: Any) -> Any:
            return self.inner(x) if x.sum() > -1e30 else x

    with pytest.warns(UserWarning, match=r"not logged: inner\.1 because TorchScript.*; inner\.2"):
        assert log(tmp_path / "hooks", probe, Branch()).layer_names == ("inner.0",)

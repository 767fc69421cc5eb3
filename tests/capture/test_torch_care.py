"""Precision, random draws, errors and wrappers of torch modules."""

from __future__ import annotations

import random
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_nets import Branching, Net, at_positions, images, log, nn, same, torch

from tb_modelcompare import Probe
from tb_modelcompare.capture.torch.inference import inference
from tb_modelcompare.errors import ModelFileError


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
    distributed = torch.distributed
    meeting = f"file://{tmp_path}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    try:
        parallel = nn.parallel.DistributedDataParallel(net)
        assert log(tmp_path / "c", probe, parallel).layer_names == ("0", "1")
    finally:
        distributed.destroy_process_group()


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

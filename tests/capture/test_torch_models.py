"""PyTorch modules: activations are what the module computes, the module is untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch_nets import Branching, Net, images, log, nn, same, torch

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.log.reader import list_snapshots


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
    net.layer1[1].conv2 = nn.Conv2d(7, 6, 3)
    with pytest.raises(ModelFileError, match="cannot be run"):
        log(tmp_path, probe, net)
    assert all(m.training for m in net.modules())
    assert not any(m._forward_hooks for m in net.modules())


@pytest.mark.parametrize("kind", [Net, Branching])
def test_layers_that_are_not_finite_are_left_out(tmp_path: Path, probe: Probe, kind: Any) -> None:
    net = kind()
    with torch.no_grad():
        net.layer1[1].conv2.bias.fill_(float("nan"))
    with pytest.warns(UserWarning, match=r"layer1\.1\.conv2"):
        names = log(tmp_path, probe, net).layer_names
    assert "layer1.1.relu" in names
    assert "head" not in names


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

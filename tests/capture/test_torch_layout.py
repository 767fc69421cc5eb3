"""Which axis of a torch layer holds units: what a module is and does says so, not the shape."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.log.reader import Snapshot, open_snapshot

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

ITEMS = 6
RNG = np.random.default_rng(3)
SERIES = Probe.from_arrays(
    RNG.normal(size=(ITEMS, 3, 64)).astype(np.float32), positions_per_item=3, seed=5
)
TEXTS = Probe.from_arrays(RNG.integers(0, 20, (ITEMS, 9)), positions_per_item=3, seed=5)
IMAGES = Probe(RNG.integers(0, 256, (ITEMS, 16, 16, 3), np.uint8), positions_per_image=3, seed=5)


def log(tmp_path: Path, probe: Probe, module: Any, **options: Any) -> Snapshot:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        options = {"layers": "all", **options}
        writer.add_model("net", module.eval(), progress=False, frozen=False, **options)
    return open_snapshot(tmp_path, "run")


def shown(probe: Probe) -> Any:
    if not probe.is_of_images:
        return torch.from_numpy(np.array(probe.images))
    return torch.from_numpy(np.moveaxis(probe.images / np.float32(255), -1, 1).copy())


def outputs(module: Any, probe: Probe) -> dict[str, Any]:
    """What plain hooks see of every module's last call."""
    found: dict[str, Any] = {}
    handles = [
        child.register_forward_hook(lambda c, i, o, name=name: found.__setitem__(name, o))
        for name, child in module.named_modules()
    ]
    with torch.no_grad():
        module.eval()(shown(probe))
    for handle in handles:
        handle.remove()
    return found


def rows(value: Any, probe: Probe) -> np.ndarray:
    """Of (items, positions …, units), by the plain definition."""
    array = value.detach().to(torch.float32).numpy()
    found = []
    for row, (u, v) in enumerate(probe.positions):
        item = array[row // probe.positions_per_image]
        for share, size in zip((u, v), item.shape[:-1], strict=False):
            item = item[int(share * size)]
        found.append(item)
    return np.array(found)


def check(snapshot: Snapshot, probe: Probe, expected: Mapping[str, Any]) -> None:
    """`expected` are (items, positions …, units) by layer."""
    for layer, value in expected.items():
        found = snapshot.activations(layer)
        assert found.shape == (probe.rows, value.shape[-1]), layer
        np.testing.assert_allclose(found, rows(value, probe), atol=1e-5, err_msg=layer)


def untraceable(module: Any) -> Any:
    """A wrapper that only hooks can see through."""

    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Any) -> Any:
            return self.inner(x) if x.sum() > -1e30 else x

    return Branching()


class Ecg(nn.Module):
    """A net of series, with every kind of layer that a series passes through."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 8, 5)
        self.norm = nn.BatchNorm1d(8)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(2)
        self.drop = nn.Dropout(0.5)
        self.deep = nn.Conv1d(8, 12, 3, stride=2)
        self.group = nn.GroupNorm(3, 12)
        self.instance = nn.InstanceNorm1d(12, affine=True)
        self.up = nn.ConvTranspose1d(12, 7, 4, stride=2)
        self.gelu = nn.GELU()
        self.mean = nn.AdaptiveAvgPool1d(7)
        self.head = nn.Linear(49, 5)

    def forward(self, x: Any) -> Any:
        x = self.drop(self.pool(self.relu(self.norm(self.conv(x)))))
        x = self.mean(self.gelu(self.up(self.instance(self.group(self.deep(x))))))
        return self.head(x.flatten(1))


@pytest.mark.parametrize("traced", [True, False])
def test_series_are_channels_first(tmp_path: Path, traced: bool) -> None:
    net = Ecg() if traced else untraceable(Ecg())
    prefix = "" if traced else "inner."
    snapshot = log(tmp_path, SERIES, net)
    found = outputs(net, SERIES)
    names = ["conv", "norm", "relu", "pool", "deep", "group", "instance", "up", "gelu", "mean"]
    check(
        snapshot,
        SERIES,
        {prefix + name: found[prefix + name].transpose(1, 2) for name in names}
        | {prefix + "head": found[prefix + "head"]},
    )
    assert snapshot.layer(prefix + "conv").spatial == (60, 1)
    assert snapshot.graph().node(prefix + "conv").units == 8


def test_functional_forms(tmp_path: Path) -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, 3, 5))
            self.wide = nn.Parameter(torch.randn(8, 6))

        def forward(self, x: Any) -> Any:
            x = F.conv1d(x, self.weight)
            x = F.avg_pool1d(F.relu(x), 2)
            return F.softmax(x.transpose(1, 2) @ self.wide, dim=-1)

    net = Functional()
    snapshot = log(tmp_path, SERIES, net)
    with torch.no_grad():
        conv = F.conv1d(shown(SERIES), net.weight)
        pool = F.avg_pool1d(F.relu(conv), 2)
        last = F.softmax(pool.transpose(1, 2) @ net.wide, -1)
    assert snapshot.layer_names == ("conv1d", "relu", "avg_pool1d", "matmul", "softmax")
    expected = {"conv1d": conv, "relu": F.relu(conv), "avg_pool1d": pool}
    check(snapshot, SERIES, {k: v.transpose(1, 2) for k, v in expected.items()} | {"softmax": last})


class Speech(nn.Module):
    """As wav2vec: a convolutional front end, a transformer, a convolution within."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Conv1d(1, 8, 10, stride=5)
        self.group = nn.GroupNorm(8, 8)
        self.norm = nn.LayerNorm(8)
        self.depthwise = nn.Conv1d(8, 8, 5, padding=2, groups=2)
        self.act = nn.GELU()
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        x = self.group(self.front(x[:, 0].unsqueeze(1))).transpose(1, 2)
        x = self.norm(x)
        x = x + self.act(self.depthwise(x.transpose(1, 2))).transpose(1, 2)
        return self.head(self.block(x))


@pytest.mark.parametrize("traced", [True, False])
def test_convolutions_inside_a_transformer(tmp_path: Path, traced: bool) -> None:
    net = Speech() if traced else untraceable(Speech())
    prefix = "" if traced else "inner."
    snapshot = log(tmp_path, SERIES, net)
    found = outputs(net, SERIES)
    first = {
        prefix + n: found[prefix + n].transpose(1, 2)
        for n in ("front", "group", "depthwise", "act")
    }
    last = ["norm", "head", "block.norm2" if not traced else "block"]
    check(snapshot, SERIES, first | {prefix + n: found[prefix + n] for n in last})


class Mixer(nn.Module):
    """Dense layers along tokens, between transpositions."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 4, stride=4)
        self.norm = nn.LayerNorm(6)
        self.tokens = nn.Linear(16, 16)
        self.after = nn.LayerNorm(6)
        self.units = nn.Linear(6, 6)

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2) + x
        return self.units(self.after(x)) + x


def test_layers_along_tokens(tmp_path: Path) -> None:
    net = Mixer()
    snapshot = log(tmp_path, IMAGES, net)
    found = outputs(net, IMAGES)
    check(
        snapshot,
        IMAGES,
        {
            "norm": found["norm"].reshape(ITEMS, 4, 4, 6),
            "after": found["after"].reshape(ITEMS, 4, 4, 6),
            "units": found["units"].reshape(ITEMS, 4, 4, 6),
        },
    )
    assert snapshot.layer("tokens").units == 16  # as the module says: out_features


@pytest.mark.parametrize("mixed", [False, True])
def test_sequence_first_blocks(tmp_path: Path, mixed: bool) -> None:
    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e = nn.Embedding(20, 8)
            self.t = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2)
            self.lstm = nn.LSTM(8, 5, bidirectional=True)
            self.attention = nn.MultiheadAttention(10, 2)
            self.f = nn.Linear(10, 3)

        def forward(self, ids: Any) -> Any:
            x = self.e(ids.T) if mixed else self.e(ids).permute(1, 0, 2)
            x, _ = self.lstm(self.t(x))
            x, _ = self.attention(x, x, x)
            return self.f(x.mean(0))

    net = Text()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of nested tensors
        snapshot = log(tmp_path, TEXTS, net)
    found = outputs(net, TEXTS)
    expected = {
        "e": found["e"].transpose(0, 1) if mixed else found["e"],
        "t": found["t"].transpose(0, 1),
        "lstm": found["lstm"][0].transpose(0, 1),
        "attention": found["attention"][0].transpose(0, 1),
        "f": found["f"],
    }
    check(snapshot, TEXTS, expected)
    assert snapshot.layer("t").spatial == (9, 1)


class Experts(nn.Module):
    """A mixture: each token goes to one of two experts."""

    def __init__(self) -> None:
        super().__init__()
        self.e, self.route, self.out = nn.Embedding(20, 8), nn.Linear(8, 2), nn.Linear(8, 3)
        self.experts = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])

    def forward(self, ids: Any) -> Any:
        flat = self.e(ids).reshape(-1, 8)
        chosen = self.route(flat).argmax(-1)
        mixed = torch.zeros_like(flat)
        for i, expert in enumerate(self.experts):
            if (chosen == i).any():
                mixed[chosen == i] = expert(flat[chosen == i])
        return self.out((flat + mixed).view(*ids.shape, 8))


def test_experts_are_named_and_flattened_tokens_logged(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Experts()
    with pytest.warns(UserWarning, match=r"not logged: experts\.\d.* because") as caught:
        snapshot = log(tmp_path, TEXTS, net)
    assert len([w for w in caught if "not logged" in str(w.message)]) == 1
    assert snapshot.layer_names == ("e", "route", "out")
    found = outputs(net, TEXTS)
    check(
        snapshot,
        TEXTS,
        {"e": found["e"], "route": found["route"].view(ITEMS, 9, 2), "out": found["out"]},
    )


def test_windows_are_put_together_to_the_image(tmp_path: Path) -> None:
    """As Swin: attention in windows, each a row of its own."""

    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.inside = nn.Conv2d(3, 6, 2, stride=2), nn.Linear(6, 5)

        def forward(self, x: Any) -> Any:
            x = self.patch(x).permute(0, 2, 3, 1)
            x = x.view(x.shape[0], 2, 4, 2, 4, 6).permute(0, 1, 3, 2, 4, 5)
            return self.inside(x.reshape(-1, 16, 6))

    net = Windows()
    snapshot = log(tmp_path, IMAGES, net)
    with torch.no_grad():
        whole = net.inside(net.patch(shown(IMAGES)).permute(0, 2, 3, 1))
    check(snapshot, IMAGES, {"inside": whole})
    assert snapshot.layer("inside").spatial == (8, 8)


def test_a_line_of_square_length_is_no_map(tmp_path: Path) -> None:
    class Line(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(3, 4, 16, stride=16)

        def forward(self, x: Any) -> Any:
            return self.conv(x.flatten(2))

    net = Line()
    snapshot = log(tmp_path, IMAGES, net)
    assert snapshot.layer("conv").spatial == (16, 1)
    check(snapshot, IMAGES, {"conv": outputs(net, IMAGES)["conv"].transpose(1, 2)})


def test_tokens_of_an_oblong_map_keep_their_places(tmp_path: Path) -> None:
    class Oblong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch, self.norm = nn.Conv2d(3, 6, (4, 2), stride=(4, 2)), nn.LayerNorm(6)

        def forward(self, x: Any) -> Any:
            return self.norm(self.patch(x).flatten(2).transpose(1, 2))

    net = Oblong()
    snapshot = log(tmp_path, IMAGES, net)
    check(snapshot, IMAGES, {"norm": outputs(net, IMAGES)["norm"].view(ITEMS, 4, 8, 6)})


def test_three_dimensions_are_named(tmp_path: Path) -> None:
    class Volume(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4)
            self.head = nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            x = self.norm(self.conv(x[:, None]))
            return self.head(x.mean((2, 3, 4)))

    with pytest.warns(
        UserWarning, match=r"not logged: conv, norm because it has 3 axes of positions"
    ):
        snapshot = log(tmp_path, IMAGES, Volume())
    assert snapshot.layer_names == ("mean", "head")


def test_an_axis_that_nothing_tells_is_named(tmp_path: Path) -> None:
    class Opaque(nn.Module):
        """Out of torch and back: it could be anything."""

        def forward(self, x: Any) -> Any:
            return torch.from_numpy(np.fft.rfft(x.numpy()).real.astype(np.float32).copy())

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.opaque = nn.Conv1d(3, 8, 5), Opaque()

        def forward(self, x: Any) -> Any:
            return self.opaque(self.conv(x)) if x.sum() > -1e30 else x

    with pytest.warns(UserWarning, match="not logged: opaque because"):
        assert log(tmp_path, SERIES, Net()).layer_names == ("conv",)


def test_mean_of_all_places_and_flattened_values(tmp_path: Path) -> None:
    net = Ecg()
    found = outputs(net, SERIES)["conv"]
    mean = log(tmp_path / "mean", SERIES, net, layers=["conv"], reduction="mean")
    np.testing.assert_allclose(mean.activations("conv")[::3], found.mean(2).numpy(), atol=1e-5)
    flat = log(tmp_path / "flat", SERIES, net, layers=["conv"], reduction="flatten")
    assert flat.layer("conv").units == 480

"""The frozen graph of a torch module computes what the module computes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.log.reader import Snapshot, open_snapshot
from tb_modelcompare.probe.sampling import sample
from tb_modelcompare.render.frozen import FrozenModel, check_renderable

torch = pytest.importorskip("torch", reason="renders of torch modules need PyTorch")
tf = pytest.importorskip("tensorflow")
nn, F = torch.nn, torch.nn.functional


class Activations(nn.Module):
    """Every activation function, each on both sides of its kinks."""

    def forward(self, x: Any) -> Any:
        x = 8 * x - 4
        each = [
            F.relu(x), F.relu6(x), F.hardtanh(x), F.silu(x), F.hardswish(x), F.hardsigmoid(x),
            F.gelu(x), F.gelu(x, approximate="tanh"), torch.sigmoid(x), torch.tanh(x), F.elu(x),
            F.elu(x, 0.5), F.selu(x), F.leaky_relu(x, 0.2), F.mish(x), F.softplus(x),
            torch.clamp(x, -1, 2), x.clamp(min=0), F.softmax(x, 1), F.log_softmax(x, 1),
            F.prelu(x, torch.tensor([0.1, 0.2, 0.3])),
        ]  # fmt: skip
        return torch.cat(each, 1)


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.each = nn.ModuleList(
            [
                nn.Conv2d(4, 6, 3, padding=1),
                nn.Conv2d(4, 6, (3, 5), stride=2, padding=(1, 2), bias=False),
                nn.Conv2d(4, 6, 3, padding="same"),
                nn.Conv2d(4, 6, 3, dilation=2, padding=2),
                nn.Conv2d(4, 6, 3, groups=2, stride=2),
                nn.Conv2d(4, 8, 3, groups=4, padding=1),
                nn.Conv2d(4, 4, 5, groups=4, stride=2, padding=2),
                nn.Conv2d(4, 4, 3, groups=4, dilation=2, padding=2),
                nn.ConvTranspose2d(4, 5, 3, stride=2, padding=1, output_padding=1),
                nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
            ]
        )
        self.widen = nn.Conv2d(3, 4, 1)

    def forward(self, x: Any) -> Any:
        x = self.widen(x)
        return [convolution(x) for convolution in self.each]


class Pools(nn.Module):
    def forward(self, x: Any) -> Any:
        x = x - 0.5
        return [
            F.max_pool2d(x, 2),
            F.max_pool2d(x, 3, 2, 1),
            F.max_pool2d(x, 3, 2, ceil_mode=True),
            F.max_pool2d(x, 2, 2, 1, ceil_mode=True),
            F.avg_pool2d(x, 2),
            F.avg_pool2d(x, 3, 2, 1),
            F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
            F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
            F.avg_pool2d(x, 5, 3, 2, ceil_mode=True, count_include_pad=False),
            F.adaptive_avg_pool2d(x, 1),
            F.adaptive_avg_pool2d(x, (5, 7)),
            F.adaptive_max_pool2d(x, 4),
            F.interpolate(x, scale_factor=2),
            F.interpolate(x, size=(48, 20), mode="bilinear"),
            F.interpolate(x, size=(48, 20), mode="bilinear", align_corners=True),
            F.interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True),
            F.pixel_unshuffle(x, 2),
            F.pixel_shuffle(torch.cat([x, x, x, x], 1), 2),
        ]


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Conv2d(3, 8, 3)
        self.batch, self.plain = nn.BatchNorm2d(8), nn.BatchNorm2d(8, affine=False)
        for norm in (self.batch, self.plain):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        self.group, self.instance = nn.GroupNorm(4, 8), nn.InstanceNorm2d(8, affine=True)
        self.layer, self.whole = nn.LayerNorm(8), nn.LayerNorm([8, 30, 30])
        for norm in (self.batch, self.group, self.instance, self.layer, self.whole):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
        self.rms = nn.RMSNorm(8)

    def forward(self, x: Any) -> Any:
        x = self.widen(x)
        last = x.permute(0, 2, 3, 1)
        maps = [norm(x) for norm in (self.batch, self.plain, self.group, self.instance, self.whole)]
        return maps, self.layer(last), self.rms(last)


class Joints(nn.Module):
    """Residuals in place, squeeze and excitation, shuffled channels, slices of all kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True)
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.squeeze, self.head = nn.Linear(8, 8), nn.Linear(8 * 16, 5)

    def forward(self, x: Any) -> Any:
        x = self.relu(self.stem(x))
        gate = torch.sigmoid(self.squeeze(x.mean((2, 3)))).view(-1, 8, 1, 1)
        x = x * gate + x.flip(3) * self.scale
        x += 0.5
        a, b = x.chunk(2, dim=1)
        x = torch.cat([a, F.pad(b, (1, 2, 0, 1))[:, :, :-1, 1:-2]], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        x = x[:, :, ::2, 1::2].roll((2, 1), (2, 3)) / x.amax((2, 3), keepdim=True)
        x = torch.stack(x.split([3, 5], dim=1)[1].unbind(1), 1)[:, [4, 0, 2, 2, 1, 3, 0, 1]]
        x = (x**2 + 1).sqrt() - torch.maximum(x, 1 - x).pow(3)
        x = torch.where(x > 1, x, x.exp())
        return self.head(F.max_pool2d(x, 4).flatten(1))


class Attention(nn.Module):
    """A vision transformer with a class token, in both of the usual ways to write attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.position_embedding = nn.Parameter(torch.randn(1, 17, 16))
        self.first = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position_embedding
        x = self.first(x)
        n, t, units = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, 2, units // 2).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (units // 2) ** -0.5).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(n, t, units)
        causal = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed) + causal.transpose(1, 2).flatten(2)
        return torch.einsum("ntc,dc->ntd", x, self.out.weight)[:, 0]


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Any) -> Any:
        return self.conv(x) if x.sum() > -1e9 else x


def log(tmp_path: Path, probe: Probe, module: Any, layers: Any = r".") -> Snapshot:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model("net", module, layers=layers, progress=False)
    return open_snapshot(tmp_path, "run")


def frozen_rows(snapshot: Snapshot, probe: Probe) -> dict[str, np.ndarray]:
    """Each layer's rows as the frozen graph gives them."""
    frozen = snapshot.frozen
    assert frozen is not None, snapshot.frozen_problem
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(snapshot.frozen_graph_path().read_bytes())
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name="")
        with tf.compat.v1.Session() as session:
            values = session.run(
                {layer: f"{name}:0" for layer, name in frozen.tensors.items()},
                {f"{frozen.input}:0": probe.images / np.float32(255)},
            )
    positions = probe.positions.reshape(len(probe), -1, 2)
    return {layer: sample(value, positions, layer).values for layer, value in values.items()}


@pytest.mark.parametrize("kind", [Activations, Convolutions, Pools, Norms, Joints, Attention])
def test_frozen_graph_gives_the_logged_activations(tmp_path: Path, probe: Probe, kind: Any) -> None:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        snapshot = log(tmp_path, probe, kind())
    rows = frozen_rows(snapshot, probe)
    assert set(rows) == set(snapshot.layer_names)
    for layer in snapshot.layer_names:
        expected = snapshot.activations(layer)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(rows[layer], expected, atol=1e-4 * scale, err_msg=layer)
    differentiable = [n for n in snapshot.layer_names if n not in ("gt", "expand")]
    check_renderable(FrozenModel.from_snapshot(snapshot), differentiable)


def refusal(tmp_path: Path, probe: Probe, module: Any) -> str:
    """The one warning, with everything but the frozen graph logged."""
    with pytest.warns(UserWarning, match="nothing can be rendered") as caught:
        snapshot = log(tmp_path, probe, module)
    assert len([w for w in caught if w.category is UserWarning]) == 1
    assert snapshot.frozen is None
    assert snapshot.all_activations()
    assert snapshot.frozen_problem is not None
    assert snapshot.frozen_problem in str(caught[0].message)
    return snapshot.frozen_problem


def test_an_operator_without_translation_is_named_with_its_place(
    tmp_path: Path, probe: Probe
) -> None:
    class Odd(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.special.bessel_j0(x)

    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(Odd()))
    problem = refusal(tmp_path, probe, module)
    assert "aten.special_bessel_j0" in problem
    assert "no translation" in problem


def test_batch_statistics_and_branches_are_refused(tmp_path: Path, probe: Probe) -> None:
    live = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    assert "statistics of the batch" in refusal(tmp_path / "a", probe, live)
    assert "torch.export" in refusal(tmp_path / "b", probe, Branching())


def test_a_wrong_translation_is_noticed_and_names_the_layer(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tb_modelcompare.capture.torch.operators import TRANSLATIONS

    monkeypatch.setitem(TRANSLATIONS, "sigmoid", TRANSLATIONS["tanh"])
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.Conv2d(4, 4, 3))
    assert "layer '1' differs" in refusal(tmp_path, probe, module)


def test_maps_are_never_transposed(tmp_path: Path, probe: Probe) -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.GroupNorm(2, 8),
        nn.Conv2d(8, 8, 3, groups=8), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 4),
    )  # fmt: skip
    snapshot = log(tmp_path, probe, module)
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(snapshot.frozen_graph_path().read_bytes())
    assert "Transpose" not in {node.op for node in graph_def.node}
    rows = frozen_rows(snapshot, probe)
    np.testing.assert_allclose(rows["9"], snapshot.activations("9"), atol=1e-5)


def test_half_precision_and_training_mode(tmp_path: Path, probe: Probe) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    snapshot = log(tmp_path, probe, module)
    assert module.training
    assert all(m.training for m in module.modules())
    rows = frozen_rows(snapshot, probe)
    np.testing.assert_allclose(rows["1"], snapshot.activations("1"), atol=1e-5)

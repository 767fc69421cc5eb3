"""A torch module and a Keras model of the same weights: the same renders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.render import FrozenModel, render_caricatures, render_directions
from tb_modelcompare.render.frozen import check_renderable

torch = pytest.importorskip("torch", reason="renders of torch modules need PyTorch")
nn = torch.nn


def alexnet(weights: Any) -> Any:
    """torchvision's `features`, written out; `weights` is a Keras model's."""
    layers: list[Any] = []
    sizes = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1)]
    for i, (channels, units, kernel, stride, padding) in enumerate([*sizes, (256, 256, 3, 1, 1)]):
        layers += [nn.Conv2d(channels, units, kernel, stride, padding), nn.ReLU(inplace=True)]
        if i in (0, 1, 4):
            layers.append(nn.MaxPool2d(3, 2))
        kernel_values, bias = weights.get_layer(f"conv{i + 1}_pre").get_weights()
        with torch.no_grad():
            layers[2 * i + min(i, 2)].weight.copy_(
                torch.from_numpy(kernel_values.astype(np.float32).transpose(3, 2, 0, 1).copy())
            )
            layers[2 * i + min(i, 2)].bias.copy_(torch.from_numpy(bias.astype(np.float32)))
    return nn.Sequential(*layers)


def test_alexnet_of_torch_renders_as_alexnet_of_keras(tmp_path: Path, shared_dir: Path) -> None:
    import keras

    model = keras.models.load_model(shared_dir / "models" / "alexnet_torchvision_conv.keras")
    probe = Probe.from_directory(shared_dir / "images" / "open_224", limit=6)
    with SummaryWriter(tmp_path, probe) as writer:
        for name, each in (("keras", model), ("torch", alexnet(model))):
            writer.add_model(
                name, each, preprocessing=Preprocessing.torch(), layers="all", progress=False
            )
    keras_snapshot, torch_snapshot = (open_snapshot(tmp_path, n) for n in ("./keras", "./torch"))
    pairs = {"conv1_pre": "0", "conv2": "4", "pool2": "5", "conv5": "11", "pool5": "12"}
    for ours, theirs in pairs.items():
        a, b = keras_snapshot.activations(ours), torch_snapshot.activations(theirs)
        np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(a).max())

    frozen = [FrozenModel.from_snapshot(s) for s in (keras_snapshot, torch_snapshot)]
    check_renderable(frozen[1], torch_snapshot.layer_names)
    unit = np.eye(256)[17]
    pictures = [
        render_directions(model, [(layer, unit)], size=48, steps=16)
        for model, layer in zip(frozen, ("conv4", "9"), strict=True)
    ]
    inversions = [
        render_caricatures(model, probe.images[0], [layer], size=48, steps=16)
        for model, layer in zip(frozen, ("conv3", "7"), strict=True)
    ]
    for a, b in (pictures, inversions):
        assert a.std() > 20
        # The sums run in another order, and an optimisation amplifies that.
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95

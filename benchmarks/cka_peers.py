"""Peers of the CKA benchmark, each called as its own documentation says, on given activations."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]
Layers = dict[str, Matrix]


def pytorch_cka(layers: Layers) -> Matrix:
    import torch
    from cka import cka_from_features

    features = [torch.from_numpy(X) for X in layers.values()]
    return np.asarray(cka_from_features(features, features))


def pairs(layers: Layers, measure: Callable[[Any, Any], float]) -> Matrix:
    values = list(layers.values())
    return np.array([[float(measure(X, Y)) for Y in values] for X in values])


def ckatorch(layers: Layers, unbiased: bool) -> Matrix:
    import torch
    from ckatorch.core import cka_base

    tensors = {key: torch.from_numpy(X) for key, X in layers.items()}
    return pairs(tensors, lambda X, Y: float(cka_base(X, Y, unbiased=unbiased)))


def netrep(layers: Layers) -> Matrix:
    from netrep.metrics import LinearCKA

    metric = LinearCKA()
    return np.cos(pairs(layers, metric.score))


def rsatoolbox(layers: Layers) -> Matrix:
    """Linear CKA is its comparison "corr_cov" of squared Euclidean dissimilarities, whitened by
    the pair structure of the probe (Diedrichsen et al. 2021)."""
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm, compare

    rdms = [calc_rdm(Dataset(X), method="euclidean") for X in layers.values()]
    return np.array([[float(compare(a, b, "cosine_cov").item()) for b in rdms] for a in rdms])


def torch_net(layers: Layers) -> Any:
    """A torch module that returns given activations for row indices, for hook-based peers."""
    import torch

    class Layer(torch.nn.Module):
        def __init__(self, values: Matrix) -> None:
            super().__init__()
            self.values = torch.from_numpy(values)

        def forward(self, index: Any) -> Any:
            return self.values[index[:, 0]]

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleDict({key: Layer(X) for key, X in layers.items()})

        def forward(self, index: Any) -> Any:
            for layer in self.layers.values():
                last = layer(index)
            return last

    return Net()


def index_batches(layers: Layers, size: int) -> Any:
    import torch

    rows = len(next(iter(layers.values())))
    data = torch.utils.data.TensorDataset(torch.arange(rows)[:, None])
    return torch.utils.data.DataLoader(data, batch_size=size, shuffle=False)


def torch_cka_by_batches(layers: Layers, size: int) -> Matrix:
    from torch_cka import CKA

    names = [f"layers.{key}" for key in layers]
    cka = CKA(torch_net(layers), torch_net(layers), "a", "b", names, names)
    import torch

    with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
        cka.compare(index_batches(layers, size))
    return np.asarray(cka.export()["CKA"])


def pytorch_cka_by_batches(layers: Layers, size: int) -> Matrix:
    """Its accumulation over batches, on the features, without the hooks around it."""
    import torch
    from cka.hsic import hsic_cross

    tensors = [torch.from_numpy(X) for X in layers.values()]
    total = torch.zeros(len(tensors), len(tensors))
    for start in range(0, len(tensors[0]), size):
        parts = [X[start : start + size] for X in tensors]
        grams = torch.stack([torch.mm(X, X.T) for X in parts])
        total += hsic_cross(grams, grams)
    own = total.diagonal()
    return np.asarray(total / torch.sqrt(own[:, None] * own))


def ckatorch_by_batches(layers: Layers, size: int) -> Matrix:
    import torch
    from ckatorch.core import cka_batch

    rows = len(next(iter(layers.values()))) // size * size
    batched = {
        key: torch.from_numpy(X[:rows].reshape(-1, size, X.shape[1])) for key, X in layers.items()
    }
    return pairs(batched, lambda X, Y: float(cka_batch(X, Y)))

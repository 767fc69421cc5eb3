"""The whitened correlation of all pairs of layers as lucid's notebook computes it."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from layers import Layers, Matrix


def notebook(layers: Layers) -> Matrix:
    """lucid's cells as they stand, on float32."""

    def moment(X: Matrix, Y: Matrix) -> Matrix:
        return X.T @ Y / len(X)

    L = {key: np.linalg.cholesky(np.linalg.inv(moment(X, X))) for key, X in layers.items()}
    values = np.empty((len(layers), len(layers)))
    for i, (a, X) in enumerate(layers.items()):
        for j, (b, Y) in enumerate(layers.items()):
            singular = np.linalg.svd(L[a].T @ moment(X, Y) @ L[b])[1]
            values[i, j] = singular.sum() / max(X.shape[1], Y.shape[1])
    return values


def singular_values_alone(layers: Layers) -> None:
    """Singular values, without vectors, of one matrix of each pair's shape."""
    random = np.random.default_rng(0)
    widths = [X.shape[1] for X in layers.values()]
    for i, d1 in enumerate(widths):
        for d2 in widths[i + 1 :]:
            matrix = random.standard_normal((d1, d2), dtype=np.float32)
            scipy.linalg.svdvals(matrix, overwrite_a=True, check_finite=False)


def notebook_floor(layers: Layers, rows: int) -> float:
    """Multiply-adds: half of the covariance of all units, and whitening each pair from both
    sides by triangular factors."""
    widths = [X.shape[1] for X in layers.values()]
    total = rows * sum(widths) ** 2 / 2
    for i, d1 in enumerate(widths):
        total += d1**3 / 2
        total += sum((d1**2 * d2 + d1 * d2**2) / 2 for d2 in widths[i + 1 :])
    return total

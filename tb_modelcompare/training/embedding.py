"""Points in the plane whose distances are as near as can be to given ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError

Matrix = npt.NDArray[np.float64]

_MOST_ROUNDS = 1000
_ENOUGH = 1e-9  # relative improvement of the stress in a round


@dataclass(frozen=True, eq=False)
class Embedding:
    """Points in the plane.

    Attributes
    ----------
    points : array (n, 2)
        Centred; turned so that the first axis is the direction of largest spread. Axes mean
        nothing: only distances between points do.
    stress : float
        Kruskal's stress-1, `sqrt(Σ (d_ij - δ_ij)² / Σ δ_ij²)` over pairs, with δ the given
        distances and d those in the plane: 0 if the picture is exact; above 0.2 it misleads.
    """

    points: Matrix
    stress: float


def embed(distances: npt.ArrayLike) -> Embedding:
    """Metric multidimensional scaling: SMACOF, started from classical scaling.

    Deterministic: the same distances give the same points, up to rounding.

    Parameters
    ----------
    distances : array (n, n)
        Symmetric, zero on the diagonal, not negative.

    Returns
    -------
    Embedding

    Raises
    ------
    ActivationError
        If it is not such a matrix.

    References
    ----------
    Torgerson 1952 (classical scaling); de Leeuw 1977, Applications of convex analysis to
    multidimensional scaling (SMACOF); Kruskal 1964 (stress).

    Examples
    --------
    >>> import numpy as np
    >>> found = embed(np.array([[0.0, 3.0, 4.0], [3.0, 0.0, 5.0], [4.0, 5.0, 0.0]]))
    >>> found.points.shape, round(found.stress, 3)
    ((3, 2), 0.0)
    """
    delta = np.asarray(distances, np.float64)
    if (
        delta.ndim != 2
        or delta.shape[0] != delta.shape[1]
        or not np.isfinite(delta).all()
        or (delta < 0).any()
        or not np.allclose(delta, delta.T, atol=1e-9)
        or delta.diagonal().any()
    ):
        raise ActivationError("distances are not a symmetric matrix with a zero diagonal.")
    points = _classical(delta)
    before = _stress(points, delta)
    for _ in range(_MOST_ROUNDS):
        moved = _guttman(points, delta)
        after = _stress(moved, delta)
        if before - after <= _ENOUGH * before:
            break
        points, before = moved, after
    return Embedding(_upright(points), before)


def _classical(delta: Matrix) -> Matrix:
    """Leading coordinates of the doubly centred squares."""
    squares = delta**2
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    points = np.zeros((len(delta), 2))
    for axis in range(min(2, len(delta))):
        value = max(float(values[-1 - axis]), 0.0)
        points[:, axis] = np.sqrt(value) * vectors[:, -1 - axis]
    return points


def _guttman(points: Matrix, delta: Matrix) -> Matrix:
    """The transform that never increases the stress: X <- B(X) X / n."""
    between = _distances(points)
    ratio = np.divide(delta, between, out=np.zeros_like(delta), where=between > 0)
    b = -ratio
    b[np.diag_indices_from(b)] = ratio.sum(axis=1)
    return np.asarray(b @ points / len(points))


def _distances(points: Matrix) -> Matrix:
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=2))


def _stress(points: Matrix, delta: Matrix) -> float:
    size = float(np.square(delta).sum())
    return float(np.sqrt(np.square(_distances(points) - delta).sum() / size)) if size else 0.0


def _upright(points: Matrix) -> Matrix:
    """The same figure, turned to its principal axes; the farthest point along each is positive."""
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=True)
    turned = centred @ axes[:2].T
    far = np.abs(turned).argmax(axis=0)
    signs = np.where(turned[far, [0, 1]] < 0, -1.0, 1.0)
    return np.asarray(turned * signs)

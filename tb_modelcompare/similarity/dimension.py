"""How many directions a layer uses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity.activations import Layer, Matrix, open_layer, row_blocks


def effective_dimension(X: npt.ArrayLike) -> float:
    """The participation ratio of a layer: how many directions hold its variance.

    Parameters
    ----------
    X : array (rows, units)

    Returns
    -------
    float
        From 1, where all rows lie on a line, to the number of units, where all directions have
        the same variance. It is also at most the number of rows less 1, and too low where rows
        are few: compare layers at the same number of rows.

    Raises
    ------
    ActivationError
        If X is not a matrix of finite real numbers, or if it does not vary.

    Notes
    -----
    `(Σ λ_i)² / Σ λ_i²`, with λ_i the variances of the principal components. It is computed as
    `trace(C)² / ||C||_F²` of the covariance C of units or, where rows are fewer, of the Gram
    matrix of rows.

    References
    ----------
    Gao et al. 2017, A theory of multineuronal dimensionality, dynamics and measurement.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> effective_dimension(X)
    2.0
    >>> round(effective_dimension(X * [1, 0.5]), 6)  # variances 1 and 1/4
    1.470588
    """
    layer = open_layer(X, "X")
    layer.require_variation("an effective dimension")
    products = _covariance(layer) if layer.units <= layer.rows else _gram(layer)
    return float(np.trace(products) ** 2 / np.square(products).sum())


def _covariance(layer: Layer) -> Matrix:
    found = np.zeros((layer.units, layer.units))
    for rows in row_blocks(layer.rows):
        block = layer.centred(rows)
        found += block.T @ block
    return found


def _gram(layer: Layer) -> Matrix:
    centred = layer.centred(slice(0, layer.rows))
    return np.asarray(centred @ centred.T)

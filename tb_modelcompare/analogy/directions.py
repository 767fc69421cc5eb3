"""Directions between layers: what a unit of one layer is in another.

Linear regression from the rows of one layer to the rows of another carries a direction v of
the first to the direction that answers to it in the second. numpy and scipy only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import number
from tb_modelcompare.similarity.activations import (
    Layer,
    Matrix,
    open_layer,
    require_same_rows,
    row_blocks,
)
from tb_modelcompare.similarity.folds import RIDGE, ridge_factor


def predict_direction(
    source: npt.ArrayLike, target: npt.ArrayLike, v: npt.ArrayLike, *, ridge: float | None = None
) -> Matrix:
    """The direction of `target` that answers to direction `v` of `source`.

    `v' = (C11⁻¹ v)' C12` with the uncentred `C11 = X'X / n` and `C12 = X'Y / n`, as in lucid's
    notebook. With `s = X C11⁻¹ v`, the activity along v after the source's own correlations
    are taken out, it is the mean of `s * Y` over rows.

    Parameters
    ----------
    source : array (rows, d1)
    target : array (rows, d2)
        Row r of both is the same position of the same image.
    v : array (d1,) or (k, d1)
        One direction, or several.
    ridge : float, optional
        Added to the diagonal of C11, as a share of its mean, at least 0. By default 0 where C11
        is well conditioned and `RIDGE` where it is (nearly) singular, which constant or duplicate
        units and rows fewer than units make it.

    Returns
    -------
    array (d2,) or (k, d2)

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number, if v has
        another length than the units of source, if source is zero everywhere, or if the ridge
        that is given is too small for units that depend on each other.
    OptionError
        If the ridge is no number of at least 0.

    References
    ----------
    lucid, notebook on similarity and analogies between models.

    Examples
    --------
    Where the other layer holds the same units in another order, a unit answers to itself:

    >>> import numpy as np
    >>> source = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    >>> predict_direction(source, source[:, ::-1], [1.0, 0.0]).round(6) + 0.0
    array([0., 1.])
    """
    x, y = open_pair(source, target)
    if ridge is not None:
        ridge = number("ridge", ridge, least=0.0)
    directions = checked_directions(x, v)
    moment = np.zeros((x.units, x.units))
    for rows in row_blocks(x.rows):
        block = x.scaled(x.values[rows].astype(np.float64))
        moment += block.T @ block
    moment /= x.rows
    level = float(np.trace(moment)) / x.units
    if level == 0.0:
        raise ActivationError("source is zero on all rows; no direction of it can be carried over.")
    weights = solved(moment, directions.T, level, ridge)
    result = np.zeros((len(directions), y.units))
    for rows in row_blocks(x.rows):
        activity = x.scaled(x.values[rows].astype(np.float64)) @ weights
        result += activity.T @ y.scaled(y.values[rows].astype(np.float64))
    result = np.ldexp(result / x.rows, x.exponent - y.exponent)
    return result if np.ndim(v) == 2 else result[0]


def pattern_direction(source: npt.ArrayLike, target: npt.ArrayLike, v: npt.ArrayLike) -> Matrix:
    """The pattern of direction `v` of `source` in `target`: what goes with it.

    `C21 v` with the covariance C21 of target and source: each unit of target counts by how it
    varies with the activity along v, and not by what it adds to the others.

    Parameters
    ----------
    source : array (rows, d1)
    target : array (rows, d2)
        Row r of both is the same position of the same image.
    v : array (d1,)

    Returns
    -------
    array (d2,)

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number, or if v has
        another length than the units of source.

    References
    ----------
    Haufe et al. 2014, On the interpretation of weight vectors of linear models in multivariate
    neuroimaging.

    Examples
    --------
    >>> import numpy as np
    >>> source = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> pattern_direction(source, np.hstack([source, -2 * source]), [1.0])
    array([ 1.25, -2.5 ])
    """
    x, y = open_pair(source, target)
    response = centred_response(x, v)
    product = np.zeros(y.units)
    for rows in row_blocks(y.rows):
        product += response[rows] @ y.centred(rows)
    return np.ldexp(product / y.rows, -x.exponent - y.exponent)


def decoder_direction(
    source: npt.ArrayLike, target: npt.ArrayLike, v: npt.ArrayLike, *, ridge: float = 0.1
) -> Matrix:
    """The direction of `target` whose activity predicts the activity along `v` of `source` best.

    `(C22 + ridge)⁻¹ C21 v`: the weights of ridge regression, with an intercept that is left out.
    What it responds to most need not look like what v responds to, as weights of correlated
    units cancel.

    Parameters
    ----------
    source : array (rows, d1)
    target : array (rows, d2)
        Row r of both is the same position of the same image.
    v : array (d1,)
    ridge : float
        As a share of the mean variance of the units of target, at least 0.

    Returns
    -------
    array (d2,)

    Raises
    ------
    ActivationError
        As `pattern_direction`, and if the ridge is too small for units that depend on each
        other.
    OptionError
        If the ridge is no number of at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> source = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> decoder_direction(source, 2 * source, [1.0], ridge=0.0)
    array([0.5])
    """
    ridge = number("ridge", ridge, least=0.0)
    x, y = open_pair(source, target)
    response = centred_response(x, v)
    covariance, product = np.zeros((y.units, y.units)), np.zeros(y.units)
    for rows in row_blocks(y.rows):
        block = y.centred(rows)
        covariance += block.T @ block
        product += response[rows] @ block
    level = float(np.trace(covariance)) / y.units
    if level == 0.0:
        return product
    factor = ridge_factor(covariance + np.eye(y.units) * (ridge * level), ridge)
    weights = scipy.linalg.cho_solve((factor, False), product)
    return np.asarray(np.ldexp(weights, y.exponent - x.exponent))


def open_pair(source: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Layer, Layer]:
    """Both layers, checked, with as many rows.

    Raises
    ------
    ActivationError
    """
    x, y = open_layer(source, "source"), open_layer(target, "target")
    require_same_rows(x, y)
    return x, y


def centred_response(x: Layer, v: npt.ArrayLike) -> Matrix:
    """Centred activity along a direction, in the scale of the layer, (rows,).

    Raises
    ------
    ActivationError
        If it is no direction of the layer.
    """
    direction = checked_directions(x, v)
    if len(direction) != 1:
        raise ActivationError(f"Give one direction of {x.units} numbers, not {len(direction)}.")
    return np.concatenate([x.centred(rows) @ direction[0] for rows in row_blocks(x.rows)])


def checked_directions(x: Layer, v: npt.ArrayLike) -> Matrix:
    """Directions of a layer as (k, units).

    Raises
    ------
    ActivationError
        If they have another length than the units, or are not finite.
    """
    directions = np.atleast_2d(np.asarray(v, np.float64))
    if directions.shape[-1] != x.units or np.ndim(v) not in (1, 2):
        raise ActivationError(
            f"The direction has shape {np.shape(v)}; source has {x.units} units, so it must be "
            f"({x.units},)."
        )
    if not np.isfinite(directions).all():
        raise ActivationError("The direction has NaN or infinite values.")
    return directions


def residual_direction(
    source: npt.ArrayLike, other: npt.ArrayLike, v: npt.ArrayLike, *, ridge: float = 0.1
) -> Matrix:
    """What is left of direction `v` of `source` without what `other` has of it.

    It is `v - v''`. The direction `v'` of `other` answers to v, and the direction `v''` of
    `source` answers to v', both by `predict_direction`. With s as in `predict_direction`, v'' is
    the mean of `P s * X` over rows, where P projects on what is linear in the units of `other`.
    The residual direction therefore answers to what is not linear in these units.

    Parameters
    ----------
    source : array (rows, d1)
    other : array (rows, d2)
    v : array (d1,)
    ridge : float
        As a share of the mean of the moments' diagonals. Larger than where only one layer is
        inverted: with next to none, a few hundred units seen at a few thousand positions explain
        part of anything.

    Returns
    -------
    array (d1,)

    Raises
    ------
    ActivationError, OptionError
        As `predict_direction`.

    Examples
    --------
    Nothing is left of a unit that the other layer holds, and all of one that it does not hold:

    >>> import numpy as np
    >>> source = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> residual_direction(source, source[:, :1], [1.0, 0.0], ridge=0.0).round(6) + 0.0
    array([0., 0.])
    >>> residual_direction(source, source[:, :1], [0.0, 1.0], ridge=0.0).round(6) + 0.0
    array([0., 1.])
    """
    there = predict_direction(source, other, v, ridge=ridge)
    back = predict_direction(other, source, there, ridge=ridge)
    return np.asarray(np.asarray(v, np.float64) - back)


def solved(moment: Matrix, right: Matrix, level: float, ridge: float | None = None) -> Matrix:
    """`(moment + ridge)⁻¹ right` by Cholesky; with no ridge asked for, none unless needed."""
    if ridge is None:
        factor, info = scipy.linalg.lapack.dpotrf(moment, lower=True)
        if info == 0:
            norm = float(np.abs(moment).sum(axis=0).max())
            reciprocal, _ = scipy.linalg.lapack.dpocon(factor, norm, uplo="L")
            if reciprocal > 1e-12:
                return np.asarray(scipy.linalg.cho_solve((factor, True), right))
        ridge = RIDGE
    factor = ridge_factor(moment + np.eye(len(moment)) * (ridge * level), ridge)
    return np.asarray(scipy.linalg.cho_solve((factor, False), right))

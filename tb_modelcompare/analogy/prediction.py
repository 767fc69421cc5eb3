"""How well a layer predicts a unit of another on images that it was not fitted to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import number, whole
from tb_modelcompare.similarity.activations import (
    Matrix,
    about_median,
    open_layer,
    require_same_rows,
    row_blocks,
)
from tb_modelcompare.similarity.folds import Folds, in_folds
from tb_modelcompare.similarity.images import image_indices
from tb_modelcompare.similarity.threads import spread

FOLDS = 5

RIDGES = (1e-6, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0)
"""Ridges that `prediction_r2` chooses from, as shares of the mean variance of the units.

A unit that the other layer holds exactly wants next to none. One that is spread over hundreds
of correlated units, seen at a few thousand positions, wants much: with 1e-6 the fit follows noise
and scores near zero on units of GoogLeNet that 0.1 predicts to a third. Of a unit that the layer
says nothing about the mean is the best prediction: the largest ridges leave next to nothing else.
"""


def prediction_r2(
    target: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    folds: int | None = None,
    ridge: float | None = None,
) -> Matrix:
    """How well the units of `target` predict each column of `y` on images not fitted to.

    Ridge regression with an intercept, fitted on all folds but one and scored on that one.
    `1 - squared error / squared deviation from the fitted mean`, summed over folds: 1 is
    perfect, 0 no better than the mean, and below 0 worse than the mean.

    Parameters
    ----------
    target : array (rows, d2)
        Activations of the layer that predicts.
    y : array (rows,) or (rows, k)
        Values of the units to predict.
    groups : array of int (rows,), optional
        Image of each row. Rows of one image never fall into two folds. By default each row is
        its own.
    folds : int, optional
        At least 2, and 3 where the ridge is to be chosen. By default 5, and of fewer images one
        for each.
    ridge : float, optional
        As a share of the mean variance of the units, at least 0. By default, for every column
        and fold anew, that of `RIDGES` which predicts each of the other folds best from the rest
        of them: the fold that is scored has no part in the choice.

    Returns
    -------
    array (k,)
        One value per column; 0 for a column that does not vary, as there is nothing to predict.

    Raises
    ------
    ActivationError
        If an array cannot be used, if there are fewer images than folds, or fewer than three
        folds where the ridge is to be chosen, or if a ridge that is given is too small for units
        that depend on each other.
    OptionError
        If `folds` or `ridge` has a value that it does not take.

    Notes
    -----
    Where units of `target` outnumber rows, the fits are made in as many coordinates as there are
    rows (the dual form of ridge regression), which gives the same values in less time.

    Examples
    --------
    >>> import numpy as np
    >>> target = np.random.default_rng(0).standard_normal((100, 3))
    >>> noise = np.random.default_rng(1).standard_normal(100)
    >>> held, unrelated = prediction_r2(target, np.stack([target[:, 0], noise], axis=1))
    >>> round(float(held), 3), bool(unrelated < 0.1)
    (1.0, True)
    """
    if folds is not None:
        whole("folds", folds, least=2)
    if ridge is not None:
        ridge = number("ridge", ridge, least=0.0)
    elif folds == 2:
        raise ActivationError(
            "With 2 folds nothing is left to choose a ridge by: use 3 or more, or give a ridge."
        )
    x, wanted = open_layer(target, "target"), open_layer(_columns(y), "y")
    require_same_rows(x, wanted)
    if folds is None:
        folds = _folds_of(int(image_indices(groups, x.rows).max()) + 1)
    all_folds = in_folds(x, groups, folds)
    truth = about_median(wanted).centred(slice(0, x.rows))
    products = all_folds.products_with(truth)
    if ridge is None:
        chosen = _best_ridges(all_folds, truth, products)
    else:
        chosen = np.full((folds, wanted.units), ridge)

    def scored(fold: int) -> Matrix:
        ridges, index = np.unique(chosen[fold], return_inverse=True)
        fit = all_folds.without([fold], ridges.tolist())
        [(errors, deviation)] = all_folds.errors(fit, truth, products)
        errors = np.broadcast_to(errors, (len(ridges), wanted.units))
        return np.stack([np.take_along_axis(errors, index[None], axis=0)[0], deviation])

    error, deviation = np.sum(spread(scored, range(folds)), axis=0)
    varies = deviation > 0.0
    return np.where(varies, 1.0 - error / np.where(varies, deviation, 1.0), 0.0)


def _folds_of(images: int) -> int:
    """How many folds so many images are split into."""
    if images < 3:
        raise ActivationError(
            f"{images} image(s) are too few to predict units on images that are left out: use a "
            "probe of at least 3."
        )
    return min(FOLDS, images)


def _best_ridges(folds: Folds, truth: Matrix, products: Sequence[Matrix]) -> Matrix:
    """For each fold and column that of `RIDGES` which does best without the fold, (folds, k).

    A fit without two folds serves both: it is scored on the one where the other is left out.
    """
    count = len(folds.rows)
    pairs = list(itertools.combinations(range(count), 2))

    def scored(pair: tuple[int, int]) -> list[Matrix]:
        found = folds.errors(folds.without(pair, RIDGES), truth, products)
        # Where no predictor varies on the rows of a fit, all ridges come to the same.
        return [np.broadcast_to(one, (len(RIDGES), truth.shape[1])) for one, _ in found]

    errors = np.zeros((count, len(RIDGES), truth.shape[1]))
    for (first, second), (on_first, on_second) in zip(pairs, spread(scored, pairs), strict=True):
        errors[first] += on_second
        errors[second] += on_first
    chosen: Matrix = np.asarray(RIDGES)[errors.argmin(axis=1)]
    return chosen


def _columns(y: npt.ArrayLike) -> npt.NDArray[np.generic]:
    array = np.asarray(y)
    return array[:, None] if array.ndim == 1 else array


def best_unit(target: npt.ArrayLike, y: npt.ArrayLike) -> tuple[int, float]:
    """The single unit of `target` whose activations correlate best with `y`.

    Parameters
    ----------
    target : array (rows, d2)
    y : array (rows,)

    Returns
    -------
    unit : int
    correlation : float
        Pearson's, the largest over units; 0 where nothing varies.

    Raises
    ------
    ActivationError
        If an array cannot be used, or rows differ in number.

    Examples
    --------
    >>> import numpy as np
    >>> target = np.random.default_rng(0).standard_normal((100, 3))
    >>> unit, correlation = best_unit(target, 5 * target[:, 2] + 1)
    >>> unit, round(correlation, 6)
    (2, 1.0)
    """
    x, wanted = open_layer(target, "target"), open_layer(_columns(y), "y")
    require_same_rows(x, wanted)
    cross, square = np.zeros(x.units), np.zeros(x.units)
    own = 0.0
    for rows in row_blocks(x.rows):
        values, truth = x.centred(rows), wanted.centred(rows)[:, 0]
        cross += truth @ values
        square += np.einsum("ij,ij->j", values, values)
        own += float(truth @ truth)
    product = np.sqrt(square) * np.sqrt(own)
    correlation = np.divide(cross, product, out=np.zeros(x.units), where=product > 0.0)
    unit = int(np.argmax(correlation))
    return unit, float(correlation[unit])

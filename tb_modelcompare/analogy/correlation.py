"""How well a direction of another layer answers to a direction of this one, on unseen images.

A picture is drawn of a direction, so the number beside it is the correlation of the activity
along that direction. The direction is fitted without a fold of images and correlated on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg

from tb_modelcompare.analogy.directions import centred_response, checked_directions, solved
from tb_modelcompare.errors.checks import number, one_of, whole
from tb_modelcompare.similarity.activations import (
    Layer,
    Matrix,
    about_median,
    open_layer,
    require_same_rows,
)
from tb_modelcompare.similarity.folds import folds_of_rows, ridge_factor
from tb_modelcompare.similarity.images import image_indices, require_images
from tb_modelcompare.similarity.significance import permutations_of

DirectionKind = Literal["regression", "pattern", "decoder"]
DIRECTION_KINDS: tuple[DirectionKind, ...] = ("regression", "pattern", "decoder")
"""The three directions: see `predict_direction`, `pattern_direction`, `decoder_direction`."""
MEANING: dict[DirectionKind, str] = {
    "regression": "The regression direction is where the other layer goes when the unit is "
    "active and the units that are active with it are accounted for.",
    "pattern": "The pattern is what varies together with the unit in the other layer.",
    "decoder": "The decoder weighs the other layer's units so that they predict the unit best; "
    "its picture can mislead, as weights of correlated units cancel.",
}
"""A sentence about each, for whoever sees its picture."""

DECODER_RIDGE = 0.1
_NUMBERS_AT_ONCE = 2**24

Rows = npt.NDArray[np.intp]
# From a fold and an order of the rows: a weight for each row that is fitted.
Scores = Callable[[int, Rows], Matrix]


@dataclass(frozen=True)
class DirectionCorrelation:
    """How the activity along a direction of the target correlates with that along the source's.

    Attributes
    ----------
    value : float
        Pearson's correlation, pooled over images that the direction was not fitted to; 0 where
        one of the two does not vary.
    low, high : float
        Interval at the level that was asked for, over resamples of images. The direction is not
        fitted anew for each, so it says how far the value depends on the images that it is
        measured on.
    null : float or None
        The 95 % quantile of the value when images of the target are permuted. A value that is
        not above it cannot be told from that of an unrelated layer.
    """

    value: float
    low: float
    high: float
    null: float | None


def direction_correlation(
    source: npt.ArrayLike,
    target: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    direction: DirectionKind = "regression",
    groups: npt.ArrayLike | None = None,
    folds: int = 5,
    permutations: int = 39,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> DirectionCorrelation:
    """Correlation of the activity along `v` with that along its answer in `target`.

    For each fold of images, the direction of target is fitted on the other folds. The activity
    along it on the images of the fold, together over all folds, is correlated with the activity
    of source along v.

    Parameters
    ----------
    source : array (rows, d1)
    target : array (rows, d2)
        Row r of both is the same position of the same image.
    v : array (d1,)
    direction : {"regression", "pattern", "decoder"}
        Which direction of target answers: that of `predict_direction`, of `pattern_direction`,
        or of `decoder_direction` with a ridge of 0.1.
    groups : array (rows,), optional
        Image of each row. Images are held out, permuted and resampled as wholes. Give "rows"
        where every row is an image of its own; there is no default.
    folds : int
        At least 2.
    permutations : int
        Of the images, for the null; 0 for none.
    resamples : int
        Of the images, for the interval; at least 20.
    level : float
        Of the interval, in (0, 1).
    seed : int
        Of permutations and resamples.

    Returns
    -------
    DirectionCorrelation

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number, if v has
        another length than the units of source, if there are fewer images than folds, or if
        images are to be permuted of which there are fewer than ten on average with as many rows.
    OptionError
        If an option has a value that it does not take, or groups are not given.

    References
    ----------
    Haufe et al. 2014, for the pattern and the decoder.

    Examples
    --------
    >>> import numpy as np
    >>> source = np.random.default_rng(0).standard_normal((200, 3))
    >>> target = source @ [[1, 0], [1, 1], [0, 1]]
    >>> found = direction_correlation(source, target, [1, 0, 0], groups="rows")
    >>> found.value > 0.5 > found.null
    True
    """
    (found,) = direction_correlations(
        source,
        [target],
        v,
        direction=direction,
        groups=groups,
        folds=folds,
        permutations=permutations,
        resamples=resamples,
        level=level,
        seed=seed,
    )
    return found


def direction_correlations(
    source: npt.ArrayLike,
    targets: Sequence[npt.ArrayLike],
    v: npt.ArrayLike,
    *,
    direction: DirectionKind = "regression",
    groups: npt.ArrayLike | None = None,
    folds: int = 5,
    permutations: int = 39,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Iterator[DirectionCorrelation]:
    """`direction_correlation` with each target; the source's own moments are inverted once."""
    one_of("direction", direction, DIRECTION_KINDS)
    whole("folds", folds, least=2)
    whole("permutations", permutations, least=0)
    whole("resamples", resamples, least=20)
    number("level", level, above=0.0, below=1.0)
    require_images(groups)
    x = open_layer(source, "source")
    vector = checked_directions(x, v)[0]
    response = centred_response(x, v)
    fold_rows = folds_of_rows(groups, x.rows, folds)
    image = image_indices(groups, x.rows)
    orders = [np.arange(x.rows), *permutations_of(image, permutations, seed)]
    source_stays = direction == "regression"
    kept = [np.setdiff1d(np.arange(x.rows), fold) for fold in fold_rows]
    scores: Scores
    if source_stays:
        scores = _regression_scores(x, vector, fold_rows, kept)
    else:
        scores = _centred_scores(response, kept)

    for target in targets:
        y = open_layer(target, "target")
        require_same_rows(x, y)
        centred = about_median(y).centred(slice(0, y.rows))
        values = y.scaled(y.values.astype(np.float64)) if source_stays else centred
        solve = _decoders(values, fold_rows) if direction == "decoder" else None
        found = _cross_fitted(values, scores, fold_rows, orders, solve, source_stays)
        pairs = [
            (activity, response if source_stays else response[order])
            for activity, order in zip(found, orders, strict=True)
        ]
        sums = _sums_of_images(*pairs[0], image)
        random = np.random.default_rng(seed)
        counts = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)
        ends = np.quantile(_correlations(counts @ sums), [(1 - level) / 2, (1 + level) / 2])
        null = None
        if permutations:
            of_null = [_sums_of_images(a, r, image).sum(axis=0) for a, r in pairs[1:]]
            null = float(np.quantile(_correlations(np.stack(of_null)), 0.95))
        value = float(_correlations(sums.sum(axis=0)))
        yield DirectionCorrelation(value, float(ends[0]), float(ends[1]), null)


def _regression_scores(
    x: Layer, vector: Matrix, folds: Sequence[Rows], kept: Sequence[Rows]
) -> Scores:
    """`X C11⁻¹ v` of the rows that are fitted, with C11 over these alone."""
    rows = x.scaled(x.values.astype(np.float64))
    moments = [rows[fold].T @ rows[fold] for fold in folds]

    def solve(fold: int) -> Matrix:
        moment = np.sum([one for i, one in enumerate(moments) if i != fold], axis=0)
        level = float(np.trace(moment)) / len(moment)
        if level == 0.0:
            return np.zeros(len(kept[fold]))
        return np.asarray(rows[kept[fold]] @ solved(moment, vector, level))

    of_folds = [solve(fold) for fold in range(len(folds))]
    return lambda fold, order: of_folds[fold]


def _centred_scores(response: Matrix, kept: Sequence[Rows]) -> Scores:
    """The response of each row that is fitted, centred by its mean over these."""

    def scores(fold: int, order: Rows) -> Matrix:
        fitted = response[order[kept[fold]]]
        return np.asarray(fitted - fitted.mean())

    return scores


def _decoders(values: Matrix, folds: Sequence[Rows]) -> Callable[[int, Matrix], Matrix]:
    """For each fold, what makes weights of ridge regression of products with the target."""
    factors = []
    for fold in range(len(folds)):
        fitted = np.delete(values, folds[fold], axis=0)
        fitted = fitted - fitted.mean(axis=0)
        covariance = fitted.T @ fitted
        level = float(np.trace(covariance)) / len(covariance)
        np.fill_diagonal(covariance, np.diagonal(covariance) + (DECODER_RIDGE * level or 1.0))
        factors.append(ridge_factor(covariance, DECODER_RIDGE))
    return lambda fold, product: np.asarray(scipy.linalg.cho_solve((factors[fold], False), product))


def _cross_fitted(
    values: Matrix,
    scores: Scores,
    folds: Sequence[Rows],
    orders: Sequence[Rows],
    solve: Callable[[int, Matrix], Matrix] | None,
    source_stays: bool,
) -> list[Matrix]:
    """For each order the activity along the direction that was fitted without each row's fold.

    An order pairs row r of the layer that stays with row `order[r]` of the other. The source
    stays where its own moments are inverted, and the target where its own are, so that these
    are computed once for all orders.
    """
    rows, at_once = len(values), max(1, _NUMBERS_AT_ONCE // (len(values) * len(folds)))
    kept = [np.setdiff1d(np.arange(rows), fold) for fold in folds]
    found: list[Matrix] = []
    for start in range(0, len(orders), at_once):
        some = orders[start : start + at_once]
        weights = np.zeros((rows, len(some), len(folds)))
        for p, order in enumerate(some):
            for f, one in enumerate(kept):
                where = order[one] if source_stays else one
                weights[where, p, f] = scores(f, order)
        directions = (values.T @ weights.reshape(rows, -1)).reshape(-1, len(some), len(folds))
        if solve is not None:
            for f in range(len(folds)):
                directions[:, :, f] = solve(f, directions[:, :, f])
        activity = np.empty((rows, len(some)))
        for f, one in enumerate(folds):
            if source_stays:
                everywhere = values @ directions[:, :, f]
                for p, order in enumerate(some):
                    activity[one, p] = everywhere[order[one], p]
            else:
                activity[one] = values[one] @ directions[:, :, f]
        found.extend(activity.T)
    return found


def _sums_of_images(activity: Matrix, response: Matrix, image: Rows) -> Matrix:
    """Of each image what correlations are made of: counts, sums, squares, product; (images, 6)."""
    a = activity - activity.mean()
    a = a / (np.abs(a).max() or 1.0)
    r = response / (np.abs(response).max() or 1.0)
    columns = (np.ones(len(a)), a, r, a * a, r * r, a * r)
    return np.stack([np.bincount(image, column) for column in columns], axis=1)


def _correlations(sums: Matrix) -> Matrix:
    """Pearson's correlation of each row of sums; 0 where one side does not vary."""
    n, a, r, aa, rr, ar = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    variance = np.maximum(aa - a * a / n, 0.0) * np.maximum(rr - r * r / n, 0.0)
    product = ar - a * r / n
    varies = variance > 1e-24 * np.maximum(aa * rr, np.finfo(float).tiny)
    return np.asarray(np.where(varies, product / np.sqrt(np.where(varies, variance, 1.0)), 0.0))

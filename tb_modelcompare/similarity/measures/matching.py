"""Measures that match units with units, by their correlations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import lcm

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported where they are first used: some take long

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import one_of
from tb_modelcompare.similarity.activations import Matrix
from tb_modelcompare.similarity.moments import Cross, LayerMoments
from tb_modelcompare.similarity.preset import preset
from tb_modelcompare.similarity.registry import Measure, MomentPlan, evaluate
from tb_modelcompare.similarity.which_way import DIRECTIONS, Direction

REPLICAS = 2048
"""Up to this many replicated units, the transport of soft matching is one assignment."""


@dataclass(frozen=True, eq=False)
class Units:
    """Units that vary, and one over the standard deviation of each."""

    alive: npt.NDArray[np.intp]
    inverse: Matrix


def _prepare(layer: LayerMoments) -> Units:
    variance = np.diagonal(layer.covariance).astype(np.float64)
    alive = np.flatnonzero(variance > 0.0)
    if not len(alive):
        raise ActivationError(
            f"{layer.name} does not vary on its {layer.rows} row(s), so no unit can be matched. "
            "Leave it out, or use a probe on which it responds."
        )
    return Units(alive, 1.0 / np.sqrt(variance[alive]))


def correlations(x: Units, y: Units, cross: Cross) -> Matrix:
    """Pearson's correlation of every unit that varies with every one of the other side."""
    block = cross.covariance[np.ix_(x.alive, y.alive)].astype(np.float64)
    block *= x.inverse[:, None]
    block *= y.inverse
    return block


def _hungarian(matrix: Matrix) -> float:
    matched = scipy.optimize.linear_sum_assignment(matrix, maximize=True)
    return float(matrix[matched].mean())


def _transport(matrix: Matrix) -> float:
    """Largest mean correlation over couplings that give every unit of a side equal weight."""
    d1, d2 = matrix.shape
    replicas = lcm(d1, d2)
    if replicas <= REPLICAS:
        return _hungarian(np.repeat(np.repeat(matrix, replicas // d1, 0), replicas // d2, 1))
    rows = scipy.sparse.kron(scipy.sparse.eye_array(d1), np.ones((1, d2)))
    columns = scipy.sparse.kron(np.ones((1, d1)), scipy.sparse.eye_array(d2))
    solution = scipy.optimize.linprog(
        -matrix.ravel(),
        A_eq=scipy.sparse.vstack([rows, columns]).tocsr()[:-1],
        b_eq=np.concatenate([np.full(d1, 1.0 / d1), np.full(d2, 1.0 / d2)])[:-1],
        bounds=(0, None),
        method="highs",
    )
    if solution.status != 0:
        raise ArithmeticError(f"soft matching of {d1} with {d2} units failed: {solution.message}")
    return -float(solution.fun)


def _one_to_one_plan() -> MomentPlan:
    return MomentPlan(_prepare, lambda x, y, cross: _hungarian(correlations(x, y, cross)))


def _soft_plan() -> MomentPlan:
    return MomentPlan(_prepare, lambda x, y, cross: _transport(correlations(x, y, cross)))


def _semi_plan(direction: Direction) -> MomentPlan:
    axis = 1 if one_of("direction", direction, DIRECTIONS) == "x_to_y" else 0
    return MomentPlan(
        _prepare, lambda x, y, cross: float(correlations(x, y, cross).max(axis=axis).mean())
    )


def one_to_one_matching(X: npt.ArrayLike, Y: npt.ArrayLike) -> float:
    """Mean correlation of units matched one to one so that it is largest.

    Over `min(d1, d2)` pairs; units that do not vary take no part. Range [-1, 1].

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
        Row r of both is the same position of the same image.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.

    References
    ----------
    Li et al. 2016, Convergent Learning.

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(one_to_one_matching(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_one_to_one_plan(), X, Y, ONE_TO_ONE_MATCHING)


def soft_matching(X: npt.ArrayLike, Y: npt.ArrayLike) -> float:
    """Mean correlation under the optimal transport of units, each side's of equal weight.

    `max_T Σ T_ij r_ij` over T >= 0 whose lines sum to 1/d1 and columns to 1/d2. Equals
    `one_to_one_matching` where d1 = d2. Range [-1, 1]. A linear programme with d1 × d2
    unknowns where neither width divides the other nicely: slow for wide layers.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
        Row r of both is the same position of the same image.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.

    References
    ----------
    Khosla and Williams 2024, Soft Matching Distance (as a similarity of correlations).

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(soft_matching(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_soft_plan(), X, Y, SOFT_MATCHING)


def semi_matching(X: npt.ArrayLike, Y: npt.ArrayLike, *, direction: Direction = "x_to_y") -> float:
    """Mean over units of one side of the correlation with their best unit of the other.

    Range [-1, 1]. Not symmetric.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    direction : {"x_to_y", "y_to_x"}
        Of which side each unit looks for its best one: "x_to_y" takes the mean over units of X.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.
    OptionError
        If an option is none of the values above.

    References
    ----------
    Li et al. 2016, Convergent Learning ("semi-matching").

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(semi_matching(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    plan = _semi_plan(direction)
    measure = SEMI_MATCHING_X_TO_Y if direction == "x_to_y" else SEMI_MATCHING_Y_TO_X
    return evaluate(plan, X, Y, measure)


_INVARIANCES = ("permutation", "scaling", "unit scaling", "translation", "constant units")


def _measure(name: str, title: str, summary: str, formula: str, **rest: object) -> Measure:
    return Measure(
        name=name,
        title=title,
        family="Single units",
        summary=summary,
        low=-1.0,
        high=1.0,
        self_value=1.0,
        invariances=_INVARIANCES,
        formula=formula,
        rows_per_unit=3.0,
        **rest,  # type: ignore[arg-type]
    )


ONE_TO_ONE_MATCHING = _measure(
    "one_to_one_matching",
    "One-to-one matching",
    "How well single units of one layer have a partner of their own in the other.",
    "mean over matched pairs of r(x_i, y_m(i)), m the best one-to-one matching",
    advice="Whether single units have partners. The other measures see the whole layer.",
    symmetric=True,
    paper="Li et al. 2016",
    function=one_to_one_matching,
    plan=_one_to_one_plan,
)
SOFT_MATCHING = _measure(
    "soft_matching",
    "Soft matching",
    "As one-to-one matching, with every unit of both layers taking part.",
    "max_T Σ T_ij r(x_i, y_j), T with equal margins",
    symmetric=True,
    paper="Khosla and Williams 2024",
    function=soft_matching,
    plan=_soft_plan,
)


def _semi_measure(direction: Direction, title: str, formula: str) -> Measure:
    return _measure(
        f"semi_matching_{direction}",
        f"Semi-matching, {title}",
        "How well each unit of one layer is found in the other, partners shared.",
        formula,
        symmetric=False,
        paper="Li et al. 2016",
        function=preset(f"semi_matching_{direction}", semi_matching, direction=direction),
        plan=partial(_semi_plan, direction),
    )


SEMI_MATCHING_X_TO_Y = _semi_measure("x_to_y", "A → B", "mean_i max_j r(x_i, y_j)")
SEMI_MATCHING_Y_TO_X = _semi_measure("y_to_x", "B → A", "mean_j max_i r(x_i, y_j)")

MEASURES = (ONE_TO_ONE_MATCHING, SOFT_MATCHING, SEMI_MATCHING_X_TO_Y, SEMI_MATCHING_Y_TO_X)

"""CCA on principal components (SVCCA) and CCA weighted by what the variates explain (PWCCA)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.special

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import number, one_of, whole
from tb_modelcompare.similarity.activations import Array, Matrix
from tb_modelcompare.similarity.measures.cca import (
    WhiteLayer,
    mean_correlation,
    mean_squared_correlation,
    well_conditioned,
    white_cross,
    whiten_centred,
)
from tb_modelcompare.similarity.moments import (
    RCOND,
    Cross,
    LayerMoments,
    at_least_rounding,
    check_rcond,
)
from tb_modelcompare.similarity.preset import preset
from tb_modelcompare.similarity.registry import Measure, MomentPlan, evaluate

Side = Literal["x", "y"]
SIDES: tuple[Side, ...] = ("x", "y")
Summary = Literal["mean", "r2"]
SUMMARIES: tuple[Summary, ...] = ("mean", "r2")

TIE = 1e-6
"""Canonical correlations closer than this are tied, the more so the closer they are."""


def principal_components(
    layer: LayerMoments, threshold: float, components: int | None, rcond: float
) -> WhiteLayer:
    """Whiten the leading principal components: the fewest that hold `threshold` of the
    variance, or a fixed number (all there are, where the layer has fewer)."""
    covariance = layer.covariance.astype(np.float64)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    if values[0] <= 0.0:
        raise ActivationError(
            f"{layer.name} does not vary on its {layer.rows} row(s), so it has no principal "
            "components. Leave it out, or use a probe on which it responds."
        )
    present = int((values > at_least_rounding(rcond, len(values)) * values[0]).sum())
    share = np.cumsum(values[:present]) / values[:present].sum()
    wanted = int(np.searchsorted(share, threshold)) + 1 if components is None else components
    count = min(wanted, present)
    matrix = (vectors[:, :count] / np.sqrt(values[:count])).T
    amplification = float(values[0] / values[count - 1])
    return WhiteLayer(matrix.astype(layer.covariance.dtype), amplification)


def _svcca_plan(
    summary: Summary,
    threshold: float = 0.99,
    components: int | None = None,
    rcond: float = RCOND,
) -> MomentPlan:
    summary = one_of("summary", summary, SUMMARIES)
    threshold, rcond = number("threshold", threshold, above=0.0, most=1.0), check_rcond(rcond)
    if components is not None:
        components = whole("components", components, least=1)
    return MomentPlan(
        lambda layer: principal_components(layer, threshold, components, rcond),
        mean_correlation if summary == "mean" else mean_squared_correlation,
        single_precision=well_conditioned,
    )


def svcca(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    *,
    threshold: float = 0.99,
    components: int | None = None,
    summary: Summary = "mean",
    rcond: float = RCOND,
) -> float:
    """CCA after each side is reduced to its leading principal components.

    Range [0, 1].

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    threshold : float
        Share of the variance (sum of squares, not of singular values) that is kept.
    components : int, optional
        Keep this many instead.
    summary : {"mean", "r2"}
        `Σ ρ / min(k1, k2)` or `Σ ρ² / min(k1, k2)`, k the numbers of components kept.
    rcond : float
        Components with less than this share of the largest one's variance are absent.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if rows differ in number or are too few,
        or if a side has one value on all rows.
    OptionError
        If an option is none of the values above.

    References
    ----------
    Raghu et al. 2017, SVCCA; the two summaries as in Kornblith et al. 2019.

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(svcca(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    measure = SVCCA_R2 if summary == "r2" else SVCCA
    return evaluate(_svcca_plan(summary, threshold, components, rcond), X, Y, measure)


def _with_loadings(layer: LayerMoments, rcond: float) -> WhiteLayer:
    white = whiten_centred(layer, rcond)
    return replace(white, loadings=layer.covariance @ white.matrix.T)


def _weights(weigher: Matrix, variates: Array, correlations: Array) -> Matrix:
    """What the canonical variates explain of the weighing side, (variates,).

    `weigher` (units, rank) are covariances of its units with its whitened variates, `variates`
    (rank, variates) the canonical ones in these.

    The variate of a correlation of its own weighs `Σ_j |p_j|`, p_j its covariance with unit j.
    Variates with one correlation can be turned into each other, and any choice of them is as
    good: of m of them, each gets the mean over all choices, `Σ_j c(m) |p_j|` with p_j a vector
    of m covariances and c(m) the mean length of a coordinate of a unit vector in m dimensions.
    What counts as one correlation fades out over `TIE`, so that no small change of the data
    makes the value jump.
    """
    squares = np.square(weigher @ variates, dtype=np.float64)
    tied = _tied(correlations[:, None] - correlations)
    count, total = tied.sum(axis=1), squares @ tied
    without_partner = variates.shape[0] - variates.shape[1]
    if without_partner:  # those have the correlation 0, and tie with others that have it
        rest = np.square(weigher, dtype=np.float64).sum(axis=1) - squares.sum(axis=1)
        count += without_partner * _tied(correlations)
        total += np.outer(np.maximum(rest, 0.0), _tied(correlations))
    length = np.exp(scipy.special.gammaln(count / 2.0) - scipy.special.gammaln((count + 1.0) / 2.0))
    return np.asarray(length / np.sqrt(np.pi) * np.sqrt(total).sum(axis=0))


def _tied(apart: Matrix) -> Matrix:
    """1 for correlations that are equal, 0 from `TIE` on, smooth between."""
    return np.square(np.maximum(1.0 - np.square(apart / TIE), 0.0))


def _projection_weighted(x: WhiteLayer, y: WhiteLayer, cross: Cross, side: Side) -> float:
    weigher, white = (x, white_cross(x, y, cross.covariance))
    if side == "y":
        weigher, white = y, white.T
    variates, correlations, _ = scipy.linalg.svd(white, full_matrices=False, check_finite=False)
    assert weigher.loadings is not None
    weights = _weights(weigher.loadings, variates, correlations.astype(np.float64))
    return float(weights @ correlations / weights.sum())


def _pwcca_plan(side: Side, rcond: float = RCOND) -> MomentPlan:
    side, rcond = one_of("weights", side, SIDES), check_rcond(rcond)
    return MomentPlan(
        lambda layer: _with_loadings(layer, rcond),
        lambda x, y, cross: _projection_weighted(x, y, cross, side),
        # Rounding turns variates of near correlations into each other: much more than it
        # changes the correlations themselves.
        single_precision=lambda _: False,
    )


def pwcca(
    X: npt.ArrayLike, Y: npt.ArrayLike, *, weights: Side = "x", rcond: float = RCOND
) -> float:
    """Canonical correlations weighted by how much of one side their variates explain.

    `Σ α_i ρ_i / Σ α_i` with `α_i = Σ_j |<h_i, z_j>|`, where h_i is the i-th canonical variate
    of the weighing side and z_j its j-th unit, both centred. Not symmetric.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    weights : {"x", "y"}
        The side whose units weigh the variates. The sum is over the `min(rank X, rank Y)`
        variates that have a partner.
    rcond : float
        Directions with less than this share of the largest variance (every unit at variance
        one) are absent.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ActivationError
        If a side is not a matrix of finite real numbers, if the rows differ in number, or if a
        side does not vary.
    OptionError
        If an option is none of the values above.

    Notes
    -----
    Where m canonical correlations are equal, their variates are any orthonormal basis of an
    m-dimensional space, and the formula depends on the basis. Then α_i is the mean over all
    bases: `c(m) Σ_j |P z_j|`, with P the projection on that space and
    `c(m) = Γ(m/2) / (√π Γ((m+1)/2))`. This is so for the correlations of 1 that layers have when
    d1 + d2 is at least the number of rows, or when they share directions. Correlations that
    differ by less than 1e-6 count as equal in part, so that the value is continuous; others are
    weighted as in the paper.

    References
    ----------
    Morcos et al. 2018, Insights on representational similarity (PWCCA).

    Examples
    --------
    The order and the scale of the units make no difference:

    >>> import numpy as np
    >>> X = np.random.default_rng(0).standard_normal((50, 4))
    >>> round(pwcca(X, 3 * X[:, ::-1]), 6)
    1.0
    """
    return evaluate(_pwcca_plan(weights, rcond), X, Y, PWCCA_X if weights == "x" else PWCCA_Y)


def _svcca_measure(name: str, title: str, summary: Summary, formula: str) -> Measure:
    return Measure(
        name=name,
        title=title,
        family="CCA",
        summary="CCA of the leading principal components, 99 % of the variance by default.",
        low=0.0,
        high=1.0,
        symmetric=True,
        self_value=1.0,
        invariances=(
            "permutation",
            "scaling",
            "unit sign",
            "translation",
            "orthogonal",
            "constant units",
        ),
        formula=formula,
        paper="Raghu et al. 2017",
        function=svcca if name == "svcca" else preset(name, svcca, summary=summary),
        plan=partial(_svcca_plan, summary),
        rows_per_unit=4.0 if summary == "r2" else 12.0,
        interval_rows_per_unit=4.0,
    )


SVCCA = _svcca_measure(
    "svcca", "SVCCA, mean ρ", "mean", "Σ ρ_i / min(k1, k2) on the k leading principal components"
)
SVCCA_R2 = _svcca_measure(
    "svcca_r2", "SVCCA, R²", "r2", "Σ ρ_i² / min(k1, k2) on the k leading principal components"
)


def _pwcca_measure(name: str, title: str, side: Side) -> Measure:
    return Measure(
        name=name,
        title=title,
        family="CCA",
        summary="Canonical correlations weighted by what they explain of "
        + ("the first layer." if side == "x" else "the second layer."),
        low=0.0,
        high=1.0,
        symmetric=False,
        self_value=1.0,
        invariances=("permutation", "scaling", "unit sign", "translation", "constant units"),
        formula=f"Σ α_i ρ_i / Σ α_i, α_i = Σ_j |<h_i, {side}_j>|, h_i variates of {side.upper()}",
        paper="Morcos et al. 2018",
        function=preset(name, pwcca, weights=side),
        plan=partial(_pwcca_plan, side),
        rows_per_unit=12.0,
        interval_rows_per_unit=4.0,
    )


PWCCA_X = _pwcca_measure("pwcca_x", "PWCCA, weighted by A", "x")
PWCCA_Y = _pwcca_measure("pwcca_y", "PWCCA, weighted by B", "y")

MEASURES = (SVCCA, SVCCA_R2, PWCCA_X, PWCCA_Y)

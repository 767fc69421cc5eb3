"""CCA on principal components (SVCCA) and CCA weighted by what the variates explain (PWCCA)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.cca import (
    WhiteLayer,
    mean_correlation,
    mean_squared_correlation,
    well_conditioned,
    white_cross,
    whiten_centred,
)
from tb_modelcompare.similarity.moments import RCOND, Cross, LayerMoments
from tb_modelcompare.similarity.registry import Measure, MomentPlan, evaluate

Side = Literal["x", "y"]


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
    present = int((values > rcond * values[0]).sum())
    share = np.cumsum(values[:present]) / values[:present].sum()
    wanted = int(np.searchsorted(share, threshold)) + 1 if components is None else components
    count = min(wanted, present)
    matrix = (vectors[:, :count] / np.sqrt(values[:count])).T
    amplification = float(values[0] / values[count - 1])
    return WhiteLayer(matrix.astype(layer.covariance.dtype), amplification)


def _svcca_plan(
    summary: Literal["mean", "r2"],
    threshold: float = 0.99,
    components: int | None = None,
    rcond: float = RCOND,
) -> MomentPlan:
    if not 0.0 < threshold <= 1.0:
        raise ActivationError(f"threshold is {threshold}; it is a share of the variance, (0, 1].")
    if components is not None and components < 1:
        raise ActivationError(f"components is {components}; at least one is needed.")
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
    summary: Literal["mean", "r2"] = "mean",
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

    References
    ----------
    Raghu et al. 2017, SVCCA; the two summaries as in Kornblith et al. 2019.
    """
    return evaluate(_svcca_plan(summary, threshold, components, rcond), X, Y)


def _with_loadings(layer: LayerMoments, rcond: float) -> WhiteLayer:
    white = whiten_centred(layer, rcond)
    return replace(white, loadings=layer.covariance @ white.matrix.T)


def _projection_weighted(x: WhiteLayer, y: WhiteLayer, cross: Cross, side: Side) -> float:
    weigher, white = (x, white_cross(x, y, cross.covariance))
    if side == "y":
        weigher, white = y, white.T
    variates, correlations, _ = scipy.linalg.svd(white, full_matrices=False, check_finite=False)
    assert weigher.loadings is not None
    weights = np.abs(weigher.loadings @ variates).sum(axis=0, dtype=np.float64)
    return float(weights @ correlations / weights.sum())


def _pwcca_plan(side: Side, rcond: float = RCOND) -> MomentPlan:
    return MomentPlan(
        lambda layer: _with_loadings(layer, rcond),
        lambda x, y, cross: _projection_weighted(x, y, cross, side),
        single_precision=well_conditioned,
    )


def pwcca(
    X: npt.ArrayLike, Y: npt.ArrayLike, *, weights: Side = "x", rcond: float = RCOND
) -> float:
    """Canonical correlations weighted by how much of one side their variates explain.

    `Σ α_i ρ_i / Σ α_i` with `α_i = Σ_j |<h_i, z_j>|`, where h_i is the i-th canonical variate
    of the weighing side and z_j its j-th unit, both centred. Range [0, 1]. Not symmetric.

    Parameters
    ----------
    X, Y : array (rows, d1), (rows, d2)
    weights : {"x", "y"}
        The side whose units weigh the variates. The sum is over the `min(rank X, rank Y)`
        variates that have a partner.

    References
    ----------
    Morcos et al. 2018, Insights on representational similarity (PWCCA).
    """
    return evaluate(_pwcca_plan(weights, rcond), X, Y)


def _svcca_measure(name: str, title: str, summary: Literal["mean", "r2"], formula: str) -> Measure:
    return Measure(
        name=name,
        title=title,
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
            "dead units",
        ),
        formula=formula,
        paper="Raghu et al. 2017",
        function=partial(svcca, summary=summary),
        plan=partial(_svcca_plan, summary),
        wants_rows_over_units=True,
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
        summary="Canonical correlations weighted by what they explain of "
        + ("the first layer." if side == "x" else "the second layer."),
        low=0.0,
        high=1.0,
        symmetric=False,
        self_value=1.0,
        invariances=("permutation", "scaling", "unit sign", "translation", "dead units"),
        formula=f"Σ α_i ρ_i / Σ α_i, α_i = Σ_j |<h_i, {side}_j>|, h_i variates of {side.upper()}",
        paper="Morcos et al. 2018",
        function=partial(pwcca, weights=side),
        plan=partial(_pwcca_plan, side),
        wants_rows_over_units=True,
    )


PWCCA_X = _pwcca_measure("pwcca_x", "PWCCA, weighted by the first", "x")
PWCCA_Y = _pwcca_measure("pwcca_y", "PWCCA, weighted by the second", "y")

"""PWCCA where canonical correlations tie, so that their variates are not determined."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from tb_modelcompare.similarity import compare, pwcca

SIDES = pytest.mark.parametrize("weights", ["x", "y"])


def normal(*shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


def permuted(X, seed):
    return X[:, np.random.default_rng(seed).permutation(X.shape[1])]


def pairs():
    X, Y = normal(60, 40, seed=0), normal(60, 30, seed=1)
    shared = normal(300, 40, seed=2)
    basis = np.linalg.qr(normal(200, 50, seed=3) - normal(200, 50, seed=3).mean(axis=0))[0]
    basis = np.linalg.qr(basis - basis.mean(axis=0))[0]
    heavy = np.random.default_rng(4).standard_t(1.5, (60, 69))
    return {
        "units add up to more than rows": (X, Y),
        "ten shared directions": (shared, np.hstack([shared[:, :10], normal(300, 20, seed=5)])),
        "some shared, the rest orthogonal": (
            basis[:, :30],
            np.hstack([basis[:, :5], basis[:, 30:]]),
        ),
        "heavy tails": (heavy[:, :29], heavy[:, 29:]),
        "a part of the other": (shared @ normal(40, 40, seed=6), shared[:, :7]),
    }


@SIDES
@pytest.mark.parametrize("kind", pairs())
def test_the_order_of_units_and_rows_does_not_matter(kind, weights):
    X, Y = pairs()[kind]
    value = pwcca(X, Y, weights=weights)
    assert 0.0 <= value <= 1.0 + 1e-12
    for seed in range(4):
        rows = np.random.default_rng(seed).permutation(len(X))
        same = permuted(X, seed)[rows], permuted(Y, seed + 9)[rows]
        assert pwcca(*same, weights=weights) == pytest.approx(value, abs=1e-8)
        for kind_of_number, bound in ((np.float32, 1e-4), (np.float64, 1e-8)):
            model = ({"x": same[0].astype(kind_of_number)}, {"y": same[1].astype(kind_of_number)})
            found = compare(*model, f"pwcca_{weights}").values[0, 0]
            assert found == pytest.approx(value, abs=bound)


@SIDES
@pytest.mark.parametrize("noise", [1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4])
def test_ties_that_noise_breaks_do_not_make_the_value_jump(noise, weights):
    X, Y = pairs()["ten shared directions"]
    value = pwcca(X, Y, weights=weights)
    for seed in range(3):
        near = Y + noise * normal(*Y.shape, seed=seed)
        assert pwcca(X, near, weights=weights) == pytest.approx(value, abs=max(1e-6, noise))


@SIDES
def test_tied_variates_weigh_what_they_weigh_on_average_over_bases(weights):
    X, Y = pairs()["ten shared directions"]
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    bases = [scipy.linalg.orth(one) for one in (X, Y)]
    left, rho, right = scipy.linalg.svd(bases[0].T @ bases[1], full_matrices=False)
    variates = bases[0] @ left if weights == "x" else bases[1] @ right.T
    units = X if weights == "x" else Y
    random, alpha = np.random.default_rng(7), np.abs(units.T @ variates).sum(axis=0)
    assert (np.abs(rho[:10] - 1.0) < 1e-9).all()
    assert rho[10] < 0.9
    found = []
    for _ in range(400):
        turned = variates[:, :10] @ np.linalg.qr(random.standard_normal((10, 10)))[0]
        found.append(np.abs(units.T @ turned).sum())
    alpha[:10] = np.mean(found) / 10
    expected = alpha @ rho / alpha.sum()
    assert pwcca(X, Y, weights=weights) == pytest.approx(expected, abs=5e-4)


@SIDES
def test_correlations_that_differ_are_weighted_as_in_the_paper(weights, example):
    X, Y = (one - one.mean(axis=0) for one in example)
    bases = [scipy.linalg.orth(one) for one in (X, Y)]
    left, rho, right = scipy.linalg.svd(bases[0].T @ bases[1], full_matrices=False)
    variates, units = (bases[0] @ left, X) if weights == "x" else (bases[1] @ right.T, Y)
    alpha = np.abs(units.T @ variates).sum(axis=0)
    expected = alpha @ rho / alpha.sum()
    assert pwcca(*example, weights=weights) == pytest.approx(expected, abs=1e-11)


def test_variates_without_a_partner_take_part_in_the_tie_at_zero():
    """All correlations are 0 but five of 1, and five of the wider side's 30 have no partner."""
    X, Y = pairs()["some shared, the rest orthogonal"]
    assert X.shape[1] > Y.shape[1]
    values = [pwcca(permuted(X, seed), permuted(Y, seed)) for seed in range(5)]
    assert np.ptp(values) < 1e-8
    assert 0.1 < values[0] < 0.4

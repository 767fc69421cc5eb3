"""Progressive estimates: how often their intervals hold the exact values, and what follows them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import MEASURES, Comparison, ComparisonCancelled, compare, refine

IMAGES = np.repeat(np.arange(500), 4)


def network(seed: int, widths: tuple[int, ...] = (24, 90, 150, 220)) -> dict[str, np.ndarray]:
    """ReLU layers over a signal that all networks share; positions of an image are alike."""
    signal = np.random.default_rng(0).standard_normal((500, 40), dtype=np.float32).repeat(4, axis=0)
    random = np.random.default_rng(seed)
    layers = {}
    for depth, width in enumerate(widths):
        noise = random.standard_normal((2000, width), dtype=np.float32)
        mixed = signal @ random.standard_normal((40, width), dtype=np.float32) / 6
        layers[f"layer{depth}"] = np.maximum(mixed + noise * (0.3 + depth), 0)
    return layers


def covered(estimate: Comparison, exact: Comparison) -> float:
    assert estimate.low is not None
    assert estimate.high is not None
    return float(np.mean((estimate.low <= exact.values) & (exact.values <= estimate.high)))


def decaying(seed: int) -> dict[str, np.ndarray]:
    """Layers that have ever less in common, down to nothing: singular values down to 0."""
    common = np.random.default_rng(0).standard_normal((2000, 400), dtype=np.float32)
    common *= np.exp(-4 * np.linspace(0, 1, 400, dtype=np.float32))
    random = np.random.default_rng(seed)
    return {
        str(width): common @ random.standard_normal((400, width), dtype=np.float32)
        + random.standard_normal((2000, width), dtype=np.float32) / 3
        for width in (170, 230)
    }


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("whitened_correlation", network),
        ("r2_cca", decaying),
        pytest.param("whitened_correlation", decaying, marks=pytest.mark.slow),
        pytest.param("r2_cca", network, marks=pytest.mark.slow),
    ],
)
def test_95_of_100_intervals_from_random_vectors_hold_the_exact_value(
    name: str, layers: Callable[[int], dict[str, np.ndarray]]
) -> None:
    """Of pairs whose value is estimated, and not computed as it is because that costs less."""
    a, b = layers(1), layers(2)
    exact = compare(a, b, name).values
    held, widths, errors = [], [], []
    for seed in range(50):
        estimates = refine(a, b, name, seed=seed)
        estimate = next(estimates).comparison
        estimates.close()
        assert estimate.low is not None
        assert estimate.high is not None
        estimated = estimate.high - estimate.low > 1e-3
        assert estimated.sum() >= 4
        assert (abs(estimate.values - exact)[~estimated] < 1e-4).all()
        held += list(((estimate.low <= exact) & (exact <= estimate.high))[estimated])
        widths += list((estimate.high - estimate.low)[estimated] / 2)
        errors += list((estimate.values - exact)[estimated])
    assert np.mean(held) >= 0.95
    assert np.mean(widths) < 0.02
    assert abs(np.mean(errors)) < 0.005


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    "name", ["whitened_correlation", "mean_cca", "r2_cca", "svcca", "svcca_r2"]
)
def test_intervals_from_random_vectors_hold_the_exact_values(name: str, same: bool) -> None:
    a = network(1)
    b = a if same else network(2)
    shares, widths = [], []
    for seed in range(6):
        estimate, exact = refine(a, b, name, seed=seed)
        assert (estimate.exact, exact.exact) == (False, True)
        shares.append(covered(estimate.comparison, exact.comparison))
        widths.append(np.mean(estimate.comparison.high - estimate.comparison.low))
    assert np.mean(shares) > 0.9
    assert np.mean(widths) < 0.06
    assert (exact.comparison.values == compare(a, b, name).values).all()
    if same:
        assert (np.diagonal(estimate.comparison.values) == 1.0).all()


def test_estimates_warn_of_few_rows_as_compare_does() -> None:
    few = {name: values[:100] for name, values in network(1).items()}
    for name in ("mean_cca", "linear_cka"):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            *_, estimate, exact = [*refine(few, few, name, first=40)]
        assert exact.comparison.warnings == compared(few, name).warnings
        assert estimate.comparison.warnings[0] == exact.comparison.warnings[0]
        assert "100 rows are fewer than" in estimate.comparison.warnings[0]
        assert len(told) == 1


def test_warnings_point_at_who_called() -> None:
    few = {name: values[:100] for name, values in network(1).items()}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        compare(few, few, "mean_cca")
        next(refine(few, few, "mean_cca"))
    assert [one.filename for one in told] == [__file__, __file__]


def compared(layers: dict[str, np.ndarray], name: str) -> Comparison:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compare(layers, layers, name)


def test_deficient_layers_and_large_means_have_first_estimates_too() -> None:
    a = network(1)
    dead = np.zeros((2000, 30), np.float32)
    a["layer2"] = np.hstack([a["layer2"], dead, a["layer2"][:, :50]])
    a["layer3"] = a["layer3"] + 100
    b = network(2)
    for name in ("whitened_correlation", "mean_cca"):
        shares = []
        for seed in range(4):
            estimate, exact = refine(a, b, name, seed=seed)
            shares.append(covered(estimate.comparison, exact.comparison))
        assert np.mean(shares) > 0.9


@pytest.mark.parametrize(
    "name", ["linear_cka", "unbiased_linear_cka", "rsa_pearson", "rsa_spearman"]
)
def test_intervals_from_samples_of_images_hold_the_exact_values(name: str) -> None:
    # Ranking two million distances of each layer takes seconds: two layers of each network do.
    widths = (24, 150) if name.startswith("rsa") else (24, 90, 150, 220)
    a, b = network(1, widths), network(2, widths)
    exact = compare(a, b, name)
    shares = []
    for seed in range(6):
        estimates = refine(a, b, name, groups=IMAGES, first=400, seed=seed)
        estimate = next(estimates)
        estimates.close()
        assert not estimate.exact
        assert estimate.rows == 400
        assert (
            f"progressive estimate from 400 of {len(IMAGES)} rows"
            in estimate.comparison.warnings[-1]
        )
        shares.append(covered(estimate.comparison, exact))
    assert np.mean(shares) > 0.85


def test_estimates_grow_and_end_with_the_exact_values() -> None:
    a, b = network(1), network(2)
    estimates = list(refine(a, b, groups=IMAGES, first=200, growth=2))
    assert [estimate.rows for estimate in estimates] == [200, 400, 800, 2000]
    assert [estimate.exact for estimate in estimates] == [False, False, False, True]
    assert (estimates[-1].comparison.values == compare(a, b).values).all()
    spreads = [
        np.mean(estimate.comparison.high - estimate.comparison.low) for estimate in estimates[:-1]
    ]
    assert spreads == sorted(spreads, reverse=True)


def test_measures_that_few_rows_say_nothing_about_are_exact_at_once() -> None:
    a = {name: values[:400] for name, values in network(1).items()}
    for name in ("mutual_knn", "cknna", "procrustes", "linear_regression_x_to_y"):
        assert not MEASURES[name].sampled
        assert [estimate.exact for estimate in refine(a, a, name)] == [True]
    # Too few rows for two.
    assert [estimate.exact for estimate in refine(a, a, "linear_cka")] == [True]


def test_a_layer_that_a_sample_misses_delays_the_first_estimate() -> None:
    a = network(1)
    rare = np.zeros((2000, 3), np.float32)
    rare[::1000] = 1.0
    a["layer0"] = rare
    for left_out in ("raise", "drop"):
        estimates = list(refine(a, a, groups=IMAGES, first=100, growth=2, constant=left_out))
        assert estimates[-1].exact
        assert all(estimate.comparison.rows == tuple(a) for estimate in estimates)
    with pytest.raises(ActivationError):
        list(refine({**a, "dead": rare * 0}, a))


def test_first_estimates_are_the_same_for_the_same_seed_and_can_be_cancelled() -> None:
    a, b = network(1), network(2)
    for name in ("whitened_correlation", "linear_cka"):
        first, again, other = (
            next(refine(a, b, name, first=400, seed=seed)).comparison.values for seed in (3, 3, 4)
        )
        assert (first == again).all()
        assert (first != other).any()
        with pytest.raises(ComparisonCancelled):
            next(refine(a, b, name, first=400, cancelled=lambda: True))


def test_no_look_from_random_vectors_at_rows_that_do_not_fit_in_memory() -> None:
    a, b = network(1), network(2)
    [exact] = refine(a, b, "whitened_correlation", memory=1 << 20)
    assert exact.exact
    np.testing.assert_allclose(
        exact.comparison.values, compare(a, b, "whitened_correlation").values, rtol=1e-6
    )

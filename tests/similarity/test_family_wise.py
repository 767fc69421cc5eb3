"""Many pairs of layers at once: p-values for all together, and scores that begin at the null."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tb_modelcompare.similarity import MEASURES, Comparison, compare
from tb_modelcompare.similarity.significance import one_position, permutations_of

pytestmark = pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")

IMAGES, POSITIONS = 24, 2
IMAGE = np.repeat(np.arange(IMAGES), POSITIONS)
Model = dict[str, np.ndarray]


def model(random: np.random.Generator, layers: int, units: int = 6) -> Model:
    """Layers whose rows of one image resemble each other."""
    return {
        str(layer): random.standard_normal((IMAGES, units))[IMAGE]
        + random.standard_normal((len(IMAGE), units))
        for layer in range(layers)
    }


def assessed(a: Model, b: Model, measure: str = "linear_cka", **options: object) -> Comparison:
    options = {"groups": IMAGE, "permutations": 199, **options}
    return compare(a, b, measure, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("runs", "most"),
    [
        # 2 are expected: 8 or more have a probability of 0.001.
        (40, 7),
        # 6 are expected: 15 or more have a probability of 0.001, and none at all one of 0.002.
        pytest.param(120, 14, marks=pytest.mark.slow),
    ],
)
def test_144_unrelated_pairs_give_a_finding_in_5_percent_of_comparisons(
    runs: int, most: int
) -> None:
    found, alone = 0, 0
    for seed in range(runs):
        random = np.random.default_rng(seed)
        one = assessed(model(random, 12), model(random, 12), seed=seed)
        found += bool((one.family_p_value <= 0.05).any())
        alone += bool((one.p_value <= 0.05).any())
    assert 1 <= found <= most
    assert alone > 0.83 * runs  # without the correction nearly every comparison has one


@pytest.mark.parametrize("measure", ["linear_cka", "procrustes_angle", "unbiased_linear_cka"])
def test_the_one_related_pair_is_found(measure: str) -> None:
    random = np.random.default_rng(0)
    a, b = model(random, 3), model(random, 4)
    b["2"] = a["1"] @ random.standard_normal((6, 6))
    found = assessed(a, b, measure)
    assert found.family_p_value[1, 2] == pytest.approx(1 / 200)
    others = np.delete(found.family_p_value.ravel(), 1 * 4 + 2)
    assert (others > 0.05).all()
    assert (found.family_p_value >= found.p_value - 1e-12).all()
    assert found.calibrated[1, 2] > 0.3
    assert np.delete(found.calibrated.ravel(), 6).max() < 0.2


def test_few_permutations_give_none() -> None:
    random = np.random.default_rng(1)
    a, b = model(random, 2), model(random, 2)
    assert assessed(a, b, permutations=198).family_p_value is None
    assert assessed(a, b).family_p_value is not None
    assert compare(a, b).calibrated is None


def test_a_single_pair_has_its_own_p_value() -> None:
    random = np.random.default_rng(2)
    found = assessed(model(random, 1), model(random, 1))
    assert found.family_p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(("measure", "best"), [("linear_cka", 1.0), ("procrustes_angle", 0.0)])
def test_the_calibrated_score_begins_at_the_null(measure: str, best: float) -> None:
    random = np.random.default_rng(3)
    a, b = model(random, 3), model(random, 3)
    b["0"] = a["0"] + 0.5 * b["0"]
    found = assessed(a, b, measure, permutations=40)
    expected = (found.values - found.null_high) / (best - found.null_high)
    np.testing.assert_allclose(found.calibrated, np.maximum(expected, 0.0))
    assert assessed(a, a, measure, permutations=40).calibrated.diagonal() == pytest.approx(1.0)


@pytest.mark.parametrize("measure", ["linear_cka", "procrustes_distance"])
def test_scores_and_p_values_are_those_of_their_definitions(measure: str) -> None:
    """With an outlier image in all layers, a constant unit, and a layer of both models."""
    random = np.random.default_rng(8)
    a, b = model(random, 2), model(random, 3)
    for layer in (*a.values(), *b.values()):
        layer[:POSITIONS] *= 20.0
    a["0"][:, 2] = 1.0
    b["2"] = a["1"].copy()
    found = assessed(a, b, measure, seed=3)
    of = {"groups": IMAGE} if MEASURES[measure].by_image else {}
    function, distance = MEASURES[measure].function, MEASURES[measure].distance
    orders = [np.arange(len(IMAGE)), *permutations_of(IMAGE, 199, 3)]
    values = np.array([[[function(x, y[o], **of) for y in b.values()] for x in a.values()]
                       for o in orders])  # fmt: skip
    sign = -1.0 if distance else 1.0
    true, null = sign * values[0], sign * values[1:]
    level = np.percentile(null, 95.0, axis=0)
    np.testing.assert_allclose(found.null_high, sign * level, atol=2e-6)
    best = 0.0 if distance else 1.0
    for i, j in np.ndindex(2, 3):
        score = max(0.0, (true[i, j] - level[i, j]) / (best - level[i, j]))
        assert found.calibrated[i, j] == pytest.approx(score, abs=1e-4)
        alone = sum(one[i, j] >= true[i, j] - 1e-9 for one in null)
        assert abs(found.p_value[i, j] - (1 + alone) / 200) < 0.006
    standard = (sign * values - (sign * values).mean(axis=0)) / values.std(axis=0)
    largest = standard.max(axis=(1, 2))
    together = (largest[:, None, None] >= standard[0] - 1e-9).mean(axis=0)
    np.testing.assert_allclose(found.family_p_value, together, atol=0.006)
    assert found.calibrated[1, 2] == pytest.approx(1.0)


def test_a_measure_without_a_best_value_has_no_calibrated_score() -> None:
    random = np.random.default_rng(4)
    a, b = model(random, 2), model(random, 2)
    unbounded = replace(MEASURES["linear_cka"], high=np.inf)
    found = compare(a, b, unbounded, groups=IMAGE, permutations=20)
    assert found.calibrated is None
    assert found.p_value is not None


def test_of_very_many_pairs_the_null_is_over_one_position_of_each_image() -> None:
    random = np.random.default_rng(5)
    a, b = model(random, 26, units=3), model(random, 39, units=3)
    b["7"] = a["4"] * 2 + 0.1 * b["7"]
    found = assessed(a, b, resamples=20)
    (note,) = found.warnings[-1:]
    assert "1,014 pairs are over one position of each image, 24 rows" in note
    rows = one_position(IMAGE, 0)
    assert (IMAGE[rows] == np.arange(IMAGES)).all()
    first_a = {name: values[rows] for name, values in a.items()}
    first_b = {name: values[rows] for name, values in b.items()}
    alone = compare(first_a, first_b, groups="rows", permutations=199)
    for name in ("null_mean", "null_high", "p_value", "family_p_value", "calibrated"):
        np.testing.assert_allclose(getattr(found, name), getattr(alone, name), atol=1e-9)
    assert found.family_p_value[4, 7] <= 0.05
    # Values and intervals are over all rows as ever.
    whole = compare(a, b, groups=IMAGE, resamples=20)
    for name in ("values", "low", "high"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), atol=1e-9)
    few = {name: b[name] for name in list(b)[:3]}
    assert not any("one position" in note for note in assessed(a, few).warnings)


def test_a_layer_that_does_not_vary_at_the_one_position_has_no_null() -> None:
    random = np.random.default_rng(6)
    a, b = model(random, 26, units=3), model(random, 39, units=3)
    rows = one_position(IMAGE, 0)
    b["9"][rows] = 1.0
    found = assessed(a, b)
    assert np.isfinite(found.values).all()
    without = np.isnan(found.family_p_value)
    assert without[:, 9].all()
    assert without.sum() == 26


def test_a_pair_without_a_value_has_no_p_value() -> None:
    random = np.random.default_rng(7)
    a, b = model(random, 2), model(random, 2)
    silent = np.zeros((len(IMAGE), 2))
    silent[0] = 1.0  # one row of one image: nothing is left without the bias of few images
    b["1"] = silent
    found = assessed(a, b, "unbiased_linear_cka")
    assert np.isnan(found.values[:, 1]).all()
    for name in ("p_value", "family_p_value", "calibrated"):
        assert np.isnan(getattr(found, name)[:, 1]).all()
        assert np.isfinite(getattr(found, name)[:, 0]).all()

"""Chance levels, intervals and first looks tell the truth."""

from __future__ import annotations

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import compare, effective_rows


def related(random, images: int, positions: int = 1):
    """Two layers that share a signal, one that shares nothing; positions of an image alike."""
    per_image = random.standard_normal((images, 6)).repeat(positions, axis=0)
    signal = per_image + 0.1 * random.standard_normal(per_image.shape)
    X = signal + 0.5 * random.standard_normal(signal.shape)
    Y = signal[:, :4] + 0.5 * random.standard_normal((len(signal), 4))
    noise = random.standard_normal((images, 5)).repeat(positions, axis=0)
    return X, Y, noise + 0.1 * random.standard_normal(noise.shape)


@pytest.mark.parametrize(
    "name", ["linear_cka", "unbiased_linear_cka", "mean_cca", "procrustes_angle"]
)
def test_null_tells_signal_from_chance(name):
    X, Y, unrelated = related(np.random.default_rng(0), 80)
    result = compare({"x": X}, {"y": Y, "noise": unrelated}, name, permutations=60, resamples=20)
    assert result.values == pytest.approx(
        compare({"x": X}, {"y": Y, "noise": unrelated}, name).values
    )
    assert result.p_value[0, 0] == pytest.approx(1 / 61)
    assert result.p_value[0, 1] > 0.05
    value, chance = result.values[0], result.null_mean[0]
    assert abs(value[1] - chance[1]) < 0.2 * abs(value[0] - chance[0])


def test_unbiased_estimator_has_a_null_of_zero_and_the_biased_one_has_not():
    X, Y, _ = related(np.random.default_rng(1), 40)
    means = [
        compare({"x": X}, {"y": Y}, name, permutations=200, resamples=2).null_mean[0, 0]
        for name in ("linear_cka", "unbiased_linear_cka")
    ]
    assert means[0] > 0.05
    assert abs(means[1]) < 0.02


def test_positions_of_one_image_do_not_count_as_evidence():
    """Unrelated layers whose rows repeat per image: only whole images are shuffled."""
    _, _, noise = related(np.random.default_rng(2), 15, positions=8)
    other = related(np.random.default_rng(3), 15, positions=8)[2]
    groups = np.repeat(np.arange(15), 8)
    wrong = compare({"x": noise}, {"y": other}, permutations=40, resamples=2)
    right = compare({"x": noise}, {"y": other}, groups=groups, permutations=40, resamples=2)
    assert wrong.p_value[0, 0] < 0.05 < right.p_value[0, 0]
    assert right.effective_rows[0, 0] < 20 < wrong.effective_rows[0, 0]


@pytest.mark.parametrize("name", ["linear_cka", "unbiased_linear_cka"])
def test_interval_covers_the_value_in_the_population(name):
    def sample(seed, images):
        return related(np.random.default_rng(seed), images)[:2]

    X, Y = sample(1000, 20000)
    truth = compare({"x": X}, {"y": Y}, "unbiased_linear_cka").values[0, 0]
    covered = 0
    for seed in range(40):
        X, Y = sample(seed, 150)
        result = compare({"x": X}, {"y": Y}, name, permutations=1, resamples=60, level=0.9)
        assert result.low[0, 0] < result.values[0, 0] < result.high[0, 0]
        covered += result.low[0, 0] <= truth <= result.high[0, 0]
    # 36 of 40 expected; 29 or fewer would happen once in a thousand experiments.
    assert covered >= 30


def test_intervals_are_wider_when_positions_are_recognised_as_repeated():
    X, Y, _ = related(np.random.default_rng(4), 30, positions=6)
    groups = np.repeat(np.arange(30), 6)
    widths = [
        np.ptp([result.low, result.high])
        for result in (
            compare({"x": X}, {"y": Y}, permutations=1, resamples=60, groups=g)
            for g in (None, groups)
        )
    ]
    assert widths[1] > 1.2 * widths[0]


def test_same_seed_same_numbers_and_progress_to_one():
    X, Y, _ = related(np.random.default_rng(5), 30)
    seen = []
    first = compare({"x": X}, {"y": Y}, permutations=5, resamples=5, progress=seen.append)
    again = compare({"x": X}, {"y": Y}, permutations=5, resamples=5)
    other = compare({"x": X}, {"y": Y}, permutations=5, resamples=5, seed=1)
    assert first.low == again.low
    assert first.null_mean == again.null_mean
    assert first.low != other.low
    assert seen == sorted(seen)
    assert seen[-1] <= 1.0


def test_untrained_baseline():
    X, Y, unrelated = related(np.random.default_rng(6), 60)
    result = compare({"x": X}, {"y": Y}, permutations=1, resamples=2, untrained={"y": unrelated})
    assert result.baseline == pytest.approx(compare({"x": X}, {"y": unrelated}).values)
    assert result.null_mean.shape == result.effective_rows.shape == result.values.shape
    plain = compare({"x": X}, {"y": Y}, untrained={"y": unrelated})
    assert (plain.baseline, plain.values) == (result.baseline, result.values)
    assert plain.null_mean is plain.low is plain.effective_rows is None
    with pytest.raises(ActivationError, match="untrained"):
        compare({"x": X}, {"y": Y}, untrained={"z": unrelated})


def test_images_are_held_out_as_wholes_in_every_resample():
    """Unrelated layers in which an image's rows are alike: one row predicts its neighbours,
    but an image that was held out as a whole is not predicted."""
    random = np.random.default_rng(11)
    groups = np.repeat(np.arange(40), 5)
    x, y = (
        random.standard_normal((40, 25)).repeat(5, axis=0)
        + 0.05 * random.standard_normal((200, 25))
        for _ in range(2)
    )
    name = "cross_validated_regression_x_to_y"
    assert compare({"x": x}, {"y": y}, name).values[0, 0] > 0.2
    whole = compare({"x": x}, {"y": y}, name, groups=groups, permutations=4, resamples=4)
    assert whole.values == compare({"x": x}, {"y": y}, name, groups=groups).values
    assert whole.values[0, 0] < 0.0
    assert whole.null_mean[0, 0] < 0.0
    drawn = compare({"x": x}, {"y": y}, name, groups=groups, resamples=4)
    assert (drawn.low, drawn.high) == (whole.low, whole.high)


def test_layers_left_out_as_dead_are_left_out_of_everything():
    X, Y, _ = related(np.random.default_rng(13), 30)
    a, b = {"dead": np.ones((30, 2)), "x": X}, {"y": Y}
    result = compare(a, b, dead="drop", permutations=3, resamples=3, untrained={"y": Y[::-1]})
    assert result.rows == ("x",)
    for part in (result.null_mean, result.low, result.effective_rows, result.baseline):
        assert part.shape == (1, 1)
    assert any("dead" in note for note in result.warnings)


def test_what_cannot_be_assessed():
    X, Y, _ = related(np.random.default_rng(7), 10)
    with pytest.raises(ActivationError, match="different numbers of rows"):
        compare({"x": X}, {"y": Y}, groups=[0, 0, 0, 1, 1, 2, 2, 3, 3, 3], permutations=1)
    with pytest.raises(ActivationError, match="groups has shape"):
        compare({"x": X}, {"y": Y}, groups=[0, 1], permutations=1)
    with pytest.raises(ActivationError, match="at least two images"):
        compare({"x": X}, {"y": Y}, groups=[0] * 10, resamples=2)
    with pytest.raises(ActivationError, match="at least 2"):
        compare({"x": X}, {"y": Y}, resamples=1)
    with pytest.raises(ActivationError, match="level"):
        compare({"x": X}, {"y": Y}, level=95)


def test_effective_rows():
    random = np.random.default_rng(8)
    groups = np.repeat(np.arange(200), 5)
    independent = random.standard_normal((1000, 8))
    repeated = random.standard_normal((200, 8)).repeat(5, axis=0)
    assert effective_rows(independent, groups) == pytest.approx(1000, rel=0.1)
    assert effective_rows(repeated, groups) == pytest.approx(200)
    half = repeated + random.standard_normal((1000, 8))  # correlation 1/2 within images
    assert effective_rows(half, groups) == pytest.approx(1000 / (1 + 4 * 0.5), rel=0.1)
    assert effective_rows(half) == 1000
    assert effective_rows(np.ones((1000, 2)), groups) == 1000

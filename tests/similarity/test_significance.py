"""Nulls, intervals and progressive estimates tell the truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import MEASURES, compare, effective_rows
from tb_modelcompare.similarity.null_means import null_means
from tb_modelcompare.similarity.settings import Settings
from tb_modelcompare.similarity.significance import permutations_of, resamples_of


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
    result = compare(
        {"x": X}, {"y": Y, "noise": unrelated}, name, groups="rows", permutations=60, resamples=20
    )
    assert result.values == pytest.approx(
        compare({"x": X}, {"y": Y, "noise": unrelated}, name).values
    )
    assert result.p_value[0, 0] == pytest.approx(1 / 61)
    assert result.p_value[0, 1] > 0.05
    value, null = result.values[0], result.null_mean[0]
    assert abs(value[1] - null[1]) < 0.2 * abs(value[0] - null[0])


def test_unbiased_estimator_has_a_null_of_zero_and_the_biased_one_has_not():
    X, Y, _ = related(np.random.default_rng(1), 40)
    means = [
        compare({"x": X}, {"y": Y}, name, groups="rows", permutations=200, resamples=5).null_mean[
            0, 0
        ]
        for name in ("linear_cka", "unbiased_linear_cka")
    ]
    assert means[0] > 0.05
    assert abs(means[1]) < 0.02


def test_positions_of_one_image_do_not_count_as_evidence():
    """Unrelated layers whose rows repeat per image: only whole images are permuted."""
    _, _, noise = related(np.random.default_rng(2), 15, positions=8)
    other = related(np.random.default_rng(3), 15, positions=8)[2]
    groups = np.repeat(np.arange(15), 8)
    wrong = compare({"x": noise}, {"y": other}, groups="rows", permutations=40, resamples=5)
    right = compare({"x": noise}, {"y": other}, groups=groups, permutations=40, resamples=5)
    assert wrong.p_value[0, 0] < 0.05 < right.p_value[0, 0]
    assert right.effective_rows[0, 0] < 20 < wrong.effective_rows[0, 0]


@pytest.mark.parametrize(
    "name", ["linear_cka", pytest.param("unbiased_linear_cka", marks=pytest.mark.slow)]
)
def test_interval_covers_the_value_in_the_population(name):
    def sample(seed, images):
        return related(np.random.default_rng(seed), images)[:2]

    X, Y = sample(1000, 20000)
    truth = compare({"x": X}, {"y": Y}, "unbiased_linear_cka").values[0, 0]
    covered = 0
    for seed in range(40):
        X, Y = sample(seed, 150)
        result = compare(
            {"x": X}, {"y": Y}, name, groups="rows", permutations=1, resamples=60, level=0.9
        )
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
            for g in ("rows", groups)
        )
    ]
    assert widths[1] > 1.2 * widths[0]


def test_same_seed_same_numbers_and_progress_to_one():
    X, Y, _ = related(np.random.default_rng(5), 30)
    seen = []
    first = compare(
        {"x": X}, {"y": Y}, groups="rows", permutations=5, resamples=5, progress=seen.append
    )
    again = compare({"x": X}, {"y": Y}, groups="rows", permutations=5, resamples=5)
    other = compare({"x": X}, {"y": Y}, groups="rows", permutations=5, resamples=5, seed=1)
    assert first.low == again.low
    assert first.null_mean == again.null_mean
    assert first.low != other.low
    assert seen == sorted(seen)
    assert seen[-1] <= 1.0


def layers_with_dead_twin_and_constant_units(random, rows: int):
    """What makes a covariance singular, and units that are linear in another layer's."""
    x = np.maximum(random.standard_normal((rows, 30)) + 0.5, 0).astype(np.float32)
    x[:, 3], x[:, 4] = 0.0, x[:, 5]
    y = (x @ random.standard_normal((30, 12))).astype(np.float32) + 1.0
    return {"x": x, "few": x[:, :4]}, {"y": y, "with constant": np.hstack([x[:, :7], y * 0 + 2.0])}


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "linear_cka",
        "unbiased_linear_cka",
        "whitened_correlation",
        "mean_cca",
        "svcca",
        "rsa_pearson",
        "cross_validated_regression_y_to_x",
    ],
)
def test_draws_are_what_comparing_the_drawn_rows_gives(name, same):
    """However they are computed."""
    a, b = layers_with_dead_twin_and_constant_units(np.random.default_rng(12), 300)
    b = a if same else b
    image = np.repeat(np.arange(100), 3)
    measure = MEASURES[name]
    held = {"groups": image} if measure.by_image else {}
    found = compare(a, b, name, groups=image, permutations=3, resamples=5)
    null = [
        compare(a, {key: values[order] for key, values in b.items()}, name, **held).values
        for order in permutations_of(image, 3, seed=0)
    ]
    np.testing.assert_allclose(found.null_mean, np.mean(null, axis=0), atol=2e-6)
    if measure.debiased:  # without resamples: see test_intervals.py
        return
    resampled = []
    for order in resamples_of(image, 5, 5, seed=0):
        left, right = ({key: v[order] for key, v in side.items()} for side in (a, b))
        held = {"groups": image[order]} if measure.by_image else {}
        resampled.append(compare(left, left if same else right, name, **held).values)
    half = 2.7764 * np.sqrt(4**2 / 5 * np.var(resampled, axis=0, ddof=1))  # Student's, 4 degrees
    np.testing.assert_allclose(found.high - found.values, half, atol=1e-5)
    np.testing.assert_allclose(found.values - found.low, half, atol=1e-5)


def test_the_null_mean_of_cka_is_the_mean_over_all_orders_of_the_images():
    random = np.random.default_rng(14)
    image = np.repeat(np.arange(5), 2)
    a = {
        "x": random.standard_normal((10, 3)) + image[:, None],
        "z": random.standard_normal((10, 2)),
    }
    b = {"y": random.standard_normal((10, 2)) + image[:, None]}
    settings = Settings("auto", 2**30, None, None)
    found, permutations = null_means(
        a, b, MEASURES["linear_cka"], groups=image, permutations=3, settings=settings
    )
    assert permutations is None
    orders = [np.ravel([(2 * i, 2 * i + 1) for i in p]) for p in itertools.permutations(range(5))]
    expected = np.mean([compare(a, {"y": b["y"][order]}).values for order in orders], axis=0)
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    debiased, _ = null_means(
        a,
        b,
        MEASURES["unbiased_linear_cka"],
        groups=image,
        permutations=3,
        settings=settings,
    )
    assert (debiased.values == 0.0).all()


def test_untrained_baseline():
    X, Y, unrelated = related(np.random.default_rng(6), 60)
    result = compare(
        {"x": X}, {"y": Y}, groups="rows", permutations=1, resamples=5, untrained={"y": unrelated}
    )
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
    whole = compare({"x": x}, {"y": y}, name, groups=groups, permutations=4, resamples=5)
    assert whole.values == compare({"x": x}, {"y": y}, name, groups=groups).values
    assert whole.values[0, 0] < 0.0
    assert whole.null_mean[0, 0] < 0.0
    resampled = compare({"x": x}, {"y": y}, name, groups=groups, resamples=5)
    assert (resampled.low, resampled.high) == (whole.low, whole.high)


def test_layers_left_out_as_constant_are_left_out_of_everything():
    X, Y, _ = related(np.random.default_rng(13), 30)
    a, b = {"constant": np.ones((30, 2)), "x": X}, {"y": Y}
    result = compare(
        a, b, constant="drop", groups="rows", permutations=3, resamples=5, untrained={"y": Y[::-1]}
    )
    assert result.rows == ("x",)
    for part in (result.null_mean, result.low, result.effective_rows, result.baseline):
        assert part.shape == (1, 1)
    assert any("constant" in note for note in result.warnings)


def test_what_cannot_be_assessed():
    X, Y, _ = related(np.random.default_rng(7), 10)
    with pytest.raises(ActivationError, match="groups has shape"):
        compare({"x": X}, {"y": Y}, groups=[0, 1], permutations=1)
    with pytest.raises(ActivationError, match="at least 5"):
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


def of_sizes(sizes: np.ndarray) -> np.ndarray:
    """Image of each row, of images with so many rows."""
    return np.repeat(np.arange(len(sizes)), sizes)


def test_images_of_different_sizes_are_permuted_among_those_of_one_size():
    sizes = np.random.default_rng(0).permutation(np.repeat([1, 2, 5], [20, 13, 11]))
    image = of_sizes(sizes)
    for order in permutations_of(image, 5, seed=0):
        assert sorted(order) == list(range(len(image)))
        moved = image[order]
        for one in range(len(sizes)):
            (source,) = set(moved[image == one])  # rows of one image stay together, in order
            assert (np.diff(order[image == one]) == 1).all()
            assert sizes[source] == sizes[one]
    with pytest.raises(ActivationError, match="different numbers of rows"):
        next(permutations_of(of_sizes(np.arange(1, 40)), 1, seed=0))


@pytest.mark.parametrize(("measure", "of_a_size"), [("linear_cka", 30), ("unbiased_linear_cka", 2)])
def test_the_null_of_texts_of_different_lengths(measure, of_a_size):
    """Related layers are found, and about 5 % of unrelated ones."""
    lengths = np.repeat(np.arange(1, 60 // of_a_size + 1), of_a_size)
    image = of_sizes(lengths)
    found, noted = [], 0
    for seed in range(24):
        random = np.random.default_rng(seed)
        text, rows = random.standard_normal((60, 3)), len(image)
        # Texts are alike in all of their rows, and longer ones are stronger.
        of_text = (text * np.sqrt(lengths)[:, None])[image]
        x, y, z = (random.standard_normal((rows, 6)) for _ in range(3))
        x[:, :3] += of_text
        y[:, :3] += of_text
        z[:, :3] += random.standard_normal((60, 3))[image]
        result = compare(
            {"x": x}, {"y": y, "z": z}, measure, groups=image, permutations=19, seed=seed
        )
        found.append(result.p_value[0] <= 0.05)
        noted += any("one position of each image" in note for note in result.warnings)
    related, unrelated = np.mean(found, axis=0)
    assert related == 1.0
    assert unrelated <= 0.25  # 5 % of 24; more than 6 have a probability of 1e-4
    assert noted == (24 if of_a_size == 2 else 0)


def test_the_mean_of_the_null_of_texts_of_different_lengths():
    image = of_sizes(np.repeat([1, 3], [20, 20]))
    random = np.random.default_rng(0)
    a, b = ({"layer": random.standard_normal((80, 5))} for _ in range(2))
    settings = Settings("auto", 2**28, None, None)
    measure = MEASURES["linear_cka"]
    found, count = null_means(a, b, measure, groups=image, permutations=9, settings=settings)
    mean = compare(a, b, groups=image, permutations=9).null_mean
    np.testing.assert_allclose(found.values, mean, rtol=1e-9)
    assert count == 9

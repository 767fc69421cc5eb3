"""Debiased CKA from streams, shards and minibatches of whole images, and with Gaussian kernels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.similarity import (
    MinibatchCKA,
    MomentStream,
    accumulate,
    compare,
    rbf_cka,
    unbiased_linear_cka,
    unbiased_rbf_cka,
)

RAGGED = np.array([0, 1, 1, 2, 2, 2, 3, 4, 4, 5])
NAME = "unbiased_linear_cka"


def layers(image: np.ndarray, seed: int = 0) -> tuple[dict, dict]:
    """Of two models that share something; a row far away, a constant unit, a large mean."""
    random = np.random.default_rng(seed)
    shared = random.standard_normal((image.max() + 1, 3))[image]

    def layer(units: int) -> np.ndarray:
        noise = random.standard_normal((len(image), units))
        return shared @ random.standard_normal((3, units)) + noise

    far, shifted = layer(4), layer(6) + 300
    far[2] *= 30
    shifted[:, 0] = 7.0
    return {"far": far, "shifted": shifted}, {"other": layer(5)}


def batches(models: tuple[dict, dict], image: np.ndarray, edges: list[int]):
    for start, stop in itertools.pairwise(edges):
        rows = (image >= start) & (image < stop)
        a, b = ({name: one[rows] for name, one in model.items()} for model in models)
        yield a, b, image[rows]


@pytest.mark.parametrize("same", [False, True])
def test_a_stream_of_whole_images_equals_arrays(same: bool) -> None:
    image = np.random.default_rng(5).permutation(np.repeat(np.arange(30), np.arange(30) % 4 + 1))
    models = layers(image)
    whole = compare(models[0], models[0] if same else models[1], NAME, groups=image)
    parts = list(batches(models, image, [0, 2, 11, 12, 30]))
    if same:
        parts = [(a, None, groups) for a, _, groups in parts]
    stream = accumulate(parts)
    np.testing.assert_allclose(stream.compare(NAME).values, whole.values, atol=1e-9)
    plain = compare(models[0], models[0] if same else models[1], "linear_cka").values
    np.testing.assert_allclose(stream.compare("linear_cka").values, plain, atol=1e-9)
    # Shards, whose shifts are others.
    first, second = accumulate(parts[:2]), accumulate(parts[2:])
    first.merge(second)
    np.testing.assert_allclose(first.compare(NAME).values, whole.values, atol=1e-8)


def test_six_ragged_images_to_twelve_digits() -> None:
    models = layers(RAGGED, 3)
    models[0]["far"][2] /= 30
    stream = accumulate(batches(models, RAGGED, [0, 1, 4, 6]))
    x, y = models[0]["far"], models[1]["other"]
    expected = of_all_tuples(x @ x.T, y @ y.T, RAGGED)
    assert stream.compare(NAME).values[0, 0] == pytest.approx(expected, abs=1e-12)


def test_unrelated_layers_in_a_stream_have_nothing_in_common() -> None:
    image = np.repeat(np.arange(32), 4)

    def value(seed: int, knows: bool) -> float:
        random = np.random.default_rng(seed)
        x, y = (
            random.standard_normal((32, 50))[image] + random.standard_normal((128, 50))
            for _ in "xy"
        )
        stream = MomentStream()
        for some in np.array_split(np.arange(128), 2):  # 64 rows are 16 images
            groups = image[some] if knows else None
            stream.update({"x": x[some]}, {"y": y[some]}, groups)
        return float(stream.compare(NAME).values[0, 0])

    values = [value(seed, knows=True) for seed in range(16)]
    assert abs(np.mean(values)) < 2.5 * np.std(values, ddof=1) / 4
    assert value(0, knows=False) > 0.1


def test_a_batch_that_cuts_an_image_in_two_is_refused_and_leaves_the_stream() -> None:
    image = np.repeat(np.arange(20), 3)
    models = layers(image)
    stream = MomentStream()

    def add(start: int, stop: int, groups: object = None) -> None:
        rows = slice(start, stop)
        a, b = ({name: one[rows] for name, one in model.items()} for model in models)
        stream.update(a, b, image[rows] if groups is None else groups)

    add(0, 31)  # of image 10 there is one row
    with pytest.raises(ActivationError, match=r"1 image\(s\), '10' among them.*into one batch"):
        add(31, 60)
    with pytest.raises(ActivationError, match="groups with every batch"):
        add(31, 60, "rows")
    with pytest.raises(ActivationError, match="29 rows"):
        add(31, 60, image)
    assert stream.rows == 31
    shard = MomentStream()
    shard.update(*({name: one[31:] for name, one in model.items()} for model in models), image[31:])
    before = stream.compare(NAME).values
    with pytest.raises(ActivationError, match="two batches"):
        stream.merge(shard)
    np.testing.assert_array_equal(stream.compare(NAME).values, before)


def test_layers_of_which_nothing_is_left_say_so_at_every_door() -> None:
    image = np.repeat(np.arange(10), 2)
    models = layers(image)
    alone = np.zeros((20, 3))
    alone[2:4] = 1.0
    models[0]["alone"] = alone
    found = [compare(*models, NAME, groups=image)]
    stream, parts = MomentStream(), MinibatchCKA()
    for one in (stream, parts):
        one.update(*models, image)
    for comparison in (*found, stream.compare(NAME), parts.compare()):
        assert np.isnan(comparison.values[2]).all()
        assert np.isfinite(comparison.values[:2]).all()
        assert any(note.startswith("No value for alone:") for note in comparison.warnings)
    only = {"alone": alone}
    for door in (
        lambda: compare(only, models[1], NAME, groups=image),
        lambda: accumulate([(only, models[1], image)]).compare(NAME),
    ):
        with pytest.raises(ActivationError, match=r"No value for alone.*nothing is left"):
            door()
    models[0]["alone"] = np.full((20, 3), 5.0)
    with pytest.raises(ActivationError, match="alone has no variation"):
        accumulate([(*models, image)]).compare(NAME)


def gaussian(X: np.ndarray, image: np.ndarray, bandwidth: float) -> np.ndarray:
    squares = np.square(X[:, None] - X).sum(axis=2)
    median = np.median(squares[image[:, None] != image])
    return np.exp(-squares / (2 * bandwidth**2 * median))


def of_all_tuples(K: np.ndarray, L: np.ndarray, image: np.ndarray) -> float:
    """The definition, over all ordered tuples of different images."""
    rows = [np.flatnonzero(image == one) for one in np.unique(image)]

    def block(G: np.ndarray, g: int, h: int) -> np.ndarray:
        return G[np.ix_(rows[g], rows[h])]

    def hsic(K: np.ndarray, L: np.ndarray) -> float:
        pairs, triples, quadruples = (
            list(itertools.permutations(range(len(rows)), size)) for size in (2, 3, 4)
        )
        two = [np.mean(block(K, g, h) * block(L, g, h)) for g, h in pairs]
        three = [
            np.mean(block(K, g, h).mean(axis=1) * block(L, g, k).mean(axis=1))
            for g, h, k in triples
        ]
        four = [block(K, g, h).mean() * block(L, k, q).mean() for g, h, k, q in quadruples]
        return float(np.mean(two) + np.mean(four) - 2.0 * np.mean(three))

    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


@pytest.mark.parametrize("image", [np.repeat(np.arange(6), 3), RAGGED, np.arange(6)])
@pytest.mark.parametrize("bandwidth", [0.4, 2.0])
def test_rbf_over_different_images_by_brute_force(image: np.ndarray, bandwidth: float) -> None:
    a, b = layers(image, 2)
    b["other"][:2] = b["other"][-1]  # ties
    X, Y = a["shifted"], b["other"]
    kernels = [gaussian(Z, image, bandwidth) for Z in (X, Y)]
    expected = of_all_tuples(*kernels, image)
    order = np.random.default_rng(0).permutation(len(image))
    for rows in (np.arange(len(image)), order):
        found = unbiased_rbf_cka(X[rows], Y[rows], groups=image[rows], bandwidth=bandwidth)
        assert found == pytest.approx(expected, abs=1e-12)
    found = compare(a, b, "unbiased_rbf_cka", groups=image, bandwidth=bandwidth)
    assert found.values[1, 0] == pytest.approx(expected, abs=1e-12)
    batch = MinibatchCKA(kernel="rbf", bandwidth=bandwidth)
    batch.update(a, b, image)
    assert batch.compare().values[1, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
def test_rbf_of_unrelated_layers_is_about_0_and_one_outlier_does_not_change_it() -> None:
    image = np.repeat(np.arange(40), 3)
    values, minibatches = [], []
    for seed in range(16):
        random = np.random.default_rng(seed)
        x, y = (
            random.standard_normal((40, 20))[image] + random.standard_normal((120, 20))
            for _ in "xy"
        )
        x[4] *= 1e6
        values.append(unbiased_rbf_cka(x, y, groups=image))
        parts = MinibatchCKA(kernel="rbf")
        for rows in (slice(0, 60), slice(60, 120)):
            parts.update({"x": x[rows]}, {"y": y[rows]}, image[rows])
        minibatches.append(parts.compare().values[0, 0])
    for some in (values, minibatches):
        assert abs(np.mean(some)) < 2.5 * np.std(some, ddof=1) / 4
    assert rbf_cka(x, y) > 0.5


def test_rbf_has_an_interval_and_a_null_over_images() -> None:
    image = np.repeat(np.arange(24), 2)
    a, b = layers(image)
    del a["far"]
    found = compare(a, b, "unbiased_rbf_cka", groups=image, permutations=19, resamples=5)
    assert (found.low < found.values).all()
    assert (found.values < found.high).all()
    assert found.p_value[0, 0] == pytest.approx(0.05)
    assert abs(found.null_mean).max() < 0.15


def test_minibatches_of_rbf_keep_the_width_of_the_first_one() -> None:
    random = np.random.default_rng(1)
    x = random.standard_normal((200, 5))
    y = x + 0.3 * random.standard_normal((200, 5))
    parts = MinibatchCKA(kernel="rbf")
    for rows in np.array_split(np.arange(200), 4):
        scale = 2.0**20  # the scale that a batch is held in is its own affair
        parts.update({"x": x[rows] * scale}, {"y": y[rows]})
    parts.update({"x": np.ones((10, 5))}, {"y": y[:10]})  # nothing in it varies
    value = parts.compare().values[0, 0]
    assert value == pytest.approx(unbiased_rbf_cka(x, y), abs=0.05)


def test_what_rbf_refuses_says_why() -> None:
    x = np.random.default_rng(0).standard_normal((12, 3))
    with pytest.raises(ActivationError, match="needs at least 4"):
        unbiased_rbf_cka(x, x[::-1], groups=np.repeat(np.arange(3), 4))
    with pytest.raises(ActivationError, match="No value for X: half or more of the pairs"):
        unbiased_rbf_cka(np.where(np.arange(12)[:, None] < 9, 0.0, x), x)
    with pytest.raises(ActivationError, match="same distance between all pairs"):
        unbiased_rbf_cka(np.eye(12), x)
    with pytest.raises(OptionError, match="bandwidth is of the kernel"):
        MinibatchCKA(bandwidth=1.0)
    with pytest.raises(OptionError, match="kernel"):
        MinibatchCKA(kernel="gauss")  # type: ignore[arg-type]
    assert unbiased_linear_cka(x, x) == pytest.approx(1.0)

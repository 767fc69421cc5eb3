"""Sums over batches and shards give what whole arrays give."""

from __future__ import annotations

import concurrent.futures

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import (
    MEASURES,
    MinibatchCKA,
    MomentStream,
    accumulate,
    accumulate_shards,
    compare,
)
from tb_modelcompare.similarity.registry import MomentPlan

STREAMED = [name for name, measure in MEASURES.items() if isinstance(measure.plan(), MomentPlan)]
ROWS = 310


def model(seed: int, widths=(6, 10, 3)):
    random = np.random.default_rng(seed)
    shared = np.random.default_rng(9).standard_normal((ROWS, 5))
    # Means far from zero that drift from row to row: the first batch is not typical.
    drift = np.linspace(0, 3, ROWS)[:, None]
    return {
        f"layer{index}": (
            50
            + drift
            + shared @ random.standard_normal((5, width))
            + random.standard_normal((ROWS, width))
        ).astype(np.float32)
        for index, width in enumerate(widths)
    }


A, B = model(1), model(2, (4, 7))


def cut(layers, rows: slice):
    return {name: values[rows] for name, values in layers.items()}


def batches(size: int, same: bool = False, rows: range = range(ROWS)):
    for start in range(rows.start, rows.stop, size):
        part = slice(start, min(start + size, rows.stop))
        yield cut(A, part), None if same else cut(B, part)


@pytest.mark.parametrize("name", STREAMED)
@pytest.mark.parametrize("size", [1, 37, ROWS])
@pytest.mark.parametrize("same", [False, True])
def test_stream_equals_whole_arrays(name, size, same):
    whole = compare(A, A if same else B, name, precision="double")
    stream = accumulate(batches(size, same))
    assert stream.rows == ROWS
    streamed = stream.compare(name)
    assert (streamed.rows, streamed.columns) == (whole.rows, whole.columns)
    np.testing.assert_allclose(
        streamed.values, whole.values, atol=1e-7 if MEASURES[name].distance else 1e-10
    )


@pytest.mark.parametrize("name", ["linear_cka", "unbiased_linear_cka"])
def test_deep_relu_net_whose_activations_collapse(name):
    """Depth 16, width 512, default initialisation: tiny variation about a large mean."""
    random = np.random.default_rng(0)
    x = random.standard_normal((600, 512)).astype(np.float32)
    layers = {}
    for depth in range(16):
        bound = 1 / np.sqrt(512)
        W = random.uniform(-bound, bound, (512, 512)).astype(np.float32)
        x = np.maximum(x @ W + random.uniform(-bound, bound, 512).astype(np.float32), 0)
        layers[str(depth)] = x
    layers = {key: layers[key] for key in ("0", "5", "10", "15")}

    def reference(X, Y):
        """From Gram matrices in float64, by the definition of either estimator."""
        X, Y = (one.astype(np.float64) - one.astype(np.float64).mean(axis=0) for one in (X, Y))
        n = len(X)
        K, L = X @ X.T, Y @ Y.T
        if name == "linear_cka":
            return np.vdot(K, L) / np.linalg.norm(K) / np.linalg.norm(L)

        def hsic(K, L):
            K, L = (one - np.diag(one.diagonal()) for one in (K, L))
            mixed = K.sum(axis=0) @ L.sum(axis=0)
            return np.vdot(K, L) + K.sum() * L.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * mixed

        return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))

    expected = [[reference(x, y) for y in layers.values()] for x in layers.values()]
    parts = ((cut(layers, slice(i, i + 100)), None) for i in range(0, 600, 100))
    np.testing.assert_allclose(accumulate(parts).compare(name).values, expected, rtol=1e-9)
    np.testing.assert_allclose(compare(layers, layers, name).values, expected, rtol=1e-6)


@pytest.mark.parametrize("name", STREAMED)
def test_merged_shards_equal_one_stream(name):
    merged = MomentStream()
    for rows in (range(0, 100), range(100, 120), range(120, ROWS)):
        part = accumulate(batches(33, rows=rows))
        before = part.compare("linear_cka").values
        merged.merge(part)
        merged.merge(MomentStream())
        assert (part.compare("linear_cka").values == before).all()
    np.testing.assert_allclose(
        merged.compare(name).values,
        accumulate(batches(50)).compare(name).values,
        atol=1e-7 if MEASURES[name].distance else 1e-10,
    )


def read_rows(shard):
    return batches(40, rows=range(*shard))


SHARDS = [(0, 100), (100, 200), (200, ROWS)]


def test_shards_through_a_process_pool():
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        stream = accumulate_shards(read_rows, SHARDS, executor)
    values = stream.compare("unbiased_linear_cka").values
    expected = compare(A, B, "unbiased_linear_cka", precision="double").values
    np.testing.assert_allclose(values, expected, atol=1e-12)


def test_shards_through_dask_give_the_same_numbers():
    distributed = pytest.importorskip("distributed", reason="needs dask.distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as executor,
    ):
        clustered = accumulate_shards(read_rows, SHARDS, executor)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        local = accumulate_shards(read_rows, SHARDS, executor)
    for name in STREAMED[:4]:
        assert (clustered.compare(name).values == local.compare(name).values).all()


def test_a_bad_batch_leaves_the_stream_as_it_was():
    stream = accumulate(batches(100))
    before = stream.compare().values
    wrong_layers = {"other": A["layer0"]}
    infinite = {**A, "layer1": A["layer1"] * np.float32(np.inf)}
    for a, b in (
        (wrong_layers, B),
        (A, None),
        (A, cut(B, slice(0, 10))),
        (infinite, B),
        ({**A, "layer0": A["layer1"]}, B),
        ({}, B),
    ):
        with pytest.raises(ActivationError), np.errstate(invalid="ignore"):
            stream.update(a, b)
    assert (stream.compare().values == before).all()
    with pytest.raises(ActivationError, match="same layers"):
        stream.merge(accumulate([(B, A)]))


def test_what_a_stream_cannot_do():
    with pytest.raises(ActivationError, match="empty"):
        MomentStream().compare()
    stream = accumulate(batches(100))
    with pytest.raises(ActivationError, match="all rows at once"):
        stream.compare("rsa_pearson")
    with pytest.raises(ActivationError, match="at least 4 rows"):
        accumulate([(cut(A, slice(0, 3)), None)]).compare("unbiased_linear_cka")
    constant = {"constant": np.ones((20, 3))}
    with pytest.raises(ActivationError, match="constant"):
        accumulate([(constant, None)]).compare("linear_cka")


@pytest.mark.parametrize("same", [False, True])
def test_minibatch_cka_is_the_ratio_of_summed_hsic(same):
    second = A if same else B
    stream = MinibatchCKA("double")
    sums = [np.zeros((3, len(second))), np.zeros(3), np.zeros(len(second))]

    def hsic(X, Y):
        n = len(X)
        K, L = X @ X.T, Y @ Y.T
        np.fill_diagonal(K, 0)
        np.fill_diagonal(L, 0)
        last = 2 / (n - 2) * (K.sum(axis=0) @ L.sum(axis=0))
        total = np.vdot(K, L) + K.sum() * L.sum() / (n - 1) / (n - 2) - last
        return total / (n * (n - 3))

    for start in range(0, 300, 50):
        part = slice(start, start + 50)
        a, b = cut(A, part), cut(second, part)
        stream.update(a, None if same else b)
        xs, ys = ([v.astype(np.float64) - 50 for v in one.values()] for one in (a, b))
        sums[0] += [[hsic(x, y) for y in ys] for x in xs]
        sums[1] += [hsic(x, x) for x in xs]
        sums[2] += [hsic(y, y) for y in ys]
    expected = sums[0] / np.sqrt(np.outer(sums[1], sums[2]))
    np.testing.assert_allclose(stream.compare().values, expected, rtol=1e-8, atol=1e-10)


def in_batches_of(ends, precision="auto"):
    """Of layers wider than a batch, which have much noise, cut at these rows; and all rows."""
    random = np.random.default_rng(7)
    signal = random.standard_normal((ends[-1], 5))
    X, Y = (
        signal @ random.standard_normal((5, width)) + 3 * random.standard_normal((ends[-1], width))
        for width in (300, 200)
    )
    stream = MinibatchCKA(precision)
    for start, stop in zip([0, *ends[:-1]], ends, strict=True):
        stream.update({"x": X[start:stop]}, {"y": Y[start:stop]})
    exact = compare({"x": X}, {"y": Y}, "unbiased_linear_cka").values
    return stream.compare().values - exact


@pytest.mark.parametrize("last", [4, 5, 8, 30, 128])
def test_a_short_last_batch_does_no_harm(last):
    without = abs(in_batches_of([256, 512]))
    assert without < 0.005
    assert abs(in_batches_of([256, 512, 512 + last])) < 0.005
    assert abs(in_batches_of([last, last + 256, last + 512], "double")) < 0.005


def test_a_batch_too_short_to_say_anything_is_refused_and_leaves_the_rest():
    stream = MinibatchCKA()
    stream.update(cut(A, slice(0, 50)))
    before = stream.compare().values
    for rows in (1, 2, 3):
        with pytest.raises(ActivationError, match="join it with the one before"):
            stream.update(cut(A, slice(50, 50 + rows)))
    assert (stream.compare().values == before).all()


@pytest.mark.parametrize("factor", [1.0, 1e6, 1e-6, 1e-14])
def test_minibatches_of_float32_are_as_good_as_float64(factor):
    """Also about a mean 1,000 times the spread, and for noise that is nearly all bias."""
    random = np.random.default_rng(3)
    layers = cut(A, slice(0, 256))
    layers["far away"] = layers["layer1"] - layers["layer1"].mean(axis=0) + 1000
    layers["noise"] = random.standard_normal((256, 3000)).astype(np.float32)
    layers = {name: values * np.float32(factor) for name, values in layers.items()}
    fast, exact = MinibatchCKA(), MinibatchCKA("double")
    for start in range(0, 256, 64):
        fast.update(cut(layers, slice(start, start + 64)))
        exact.update(cut(layers, slice(start, start + 64)))
    np.testing.assert_allclose(fast.compare().values, exact.compare().values, atol=1e-6)


def test_minibatch_cka_refuses_what_it_cannot_use():
    with pytest.raises(ActivationError, match="No batch"):
        MinibatchCKA().compare()
    with pytest.raises(ActivationError, match="3 row"):
        MinibatchCKA().update(cut(A, slice(0, 3)))
    stream = MinibatchCKA()
    stream.update(A, B)
    with pytest.raises(ActivationError, match="same layers"):
        stream.update(B, A)

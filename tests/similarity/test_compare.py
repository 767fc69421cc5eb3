"""All pairs of layers: the same numbers whichever way they are computed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tb_modelcompare.similarity import MEASURES, ComparisonCancelled, compare, products


def model(seed: int, rows: int, widths, dtype=np.float64):
    random = np.random.default_rng(seed)
    shared = np.random.default_rng(0).standard_normal((rows, 8))
    return {
        f"layer{index}": np.maximum(
            shared @ random.standard_normal((8, width)) + random.standard_normal((rows, width)), -1
        ).astype(dtype)
        for index, width in enumerate(widths)
    }


A = model(1, 90, (5, 9, 3, 12))
B = model(2, 90, (4, 11, 6))


def one_by_one(a, b, name, **options):
    return [[MEASURES[name].function(x, y, **options) for y in b.values()] for x in a.values()]


@pytest.mark.parametrize("name", list(MEASURES))
def test_matrix_holds_what_the_functions_give(name):
    result = compare(A, B, name)
    assert result.rows == tuple(A)
    assert result.columns == tuple(B)
    assert result.measure == name
    np.testing.assert_allclose(result.values, one_by_one(A, B, name), atol=1e-10)


@pytest.mark.parametrize("name", list(MEASURES))
def test_a_model_with_itself(name):
    """Half of the work, the same numbers, and exactly the declared self-value."""
    values = compare(A, A, name).values
    np.testing.assert_allclose(values, one_by_one(A, A, name), atol=1e-7)
    if MEASURES[name].symmetric:
        assert (values == values.T).all()
    if MEASURES[name].self_value is not None:
        assert (values.diagonal() == MEASURES[name].self_value).all()


@pytest.mark.parametrize("name", list(MEASURES))
def test_single_precision_products(name):
    a, b = ({key: v.astype(np.float32) for key, v in one.items()} for one in (A, B))
    exact = compare(a, b, name, precision="double").values
    np.testing.assert_allclose(compare(a, b, name).values, exact, atol=2e-6)
    np.testing.assert_allclose(compare(a, b, name, precision="single").values, exact, atol=1e-4)


@pytest.mark.parametrize("name", list(MEASURES))
@pytest.mark.parametrize("same", [True, False])
def test_memory_and_block_size_change_nothing(name, same, monkeypatch):
    second = A if same else B
    values = compare(A, second, name).values
    assert (compare(A, second, name).values == values).all()
    monkeypatch.setattr(products, "TILE", 7)
    monkeypatch.setattr(products, "LARGE_TILE", 7)
    monkeypatch.setattr(products, "SUM_LENGTH", 10)
    monkeypatch.setattr("tb_modelcompare.similarity.activations.ROWS_AT_ONCE", 13)
    monkeypatch.setattr("tb_modelcompare.similarity.activations.row_blocks.__defaults__", (13,))
    np.testing.assert_allclose(
        compare(A, second, name, memory=2000).values,
        values,
        atol=1e-7 if MEASURES[name].distance else 1e-11,
    )


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("rows", [12, 400])
def test_gram_and_covariance_form_agree(unbiased, same, rows):
    """Few rows choose Gram matrices, many rows covariances; functions use covariances."""
    name = "unbiased_linear_cka" if unbiased else "linear_cka"
    a = model(1, rows, (30, 20))
    b = a if same else model(2, rows, (25, 15, 9))
    np.testing.assert_allclose(compare(a, b, name).values, one_by_one(a, b, name), atol=1e-12)


@pytest.mark.parametrize("name", ["linear_cka", "unbiased_linear_cka", "mean_cca"])
def test_memory_mapped_layers(name, tmp_path):
    mapped = {}
    for key, values in A.items():
        np.save(tmp_path / f"{key}.npy", values)
        mapped[key] = np.load(tmp_path / f"{key}.npy", mmap_mode="r")
    assert (compare(mapped, B, name).values == compare(A, B, name).values).all()


def test_ill_conditioned_float32_layers_are_multiplied_in_float64():
    """Units that are almost copies: in float32 products, CCA would see noise."""
    random = np.random.default_rng(0)
    X = random.standard_normal((500, 20)).astype(np.float32)
    nearly = (X[:, :10] + 1e-3 * random.standard_normal((500, 10))).astype(np.float32)
    a = {"regular": X, "nearly singular": np.hstack([X, nearly])}
    b = {
        "y": (X @ random.standard_normal((20, 8)) + random.standard_normal((500, 8))).astype(
            np.float32
        )
    }
    for second in (a, b):
        exact = compare(a, second, "mean_cca", precision="double").values
        chosen = compare(a, second, "mean_cca").values
        np.testing.assert_allclose(chosen, exact, atol=1e-6)
    single = compare(a, b, "mean_cca", precision="single").values
    assert abs(single - compare(a, b, "mean_cca", precision="double").values).max() > 1e-5


@pytest.mark.parametrize("name", ["linear_cka", "mean_cca", "rsa_pearson", "mutual_knn"])
def test_progress_and_cancel(name):
    seen = []
    compare(A, B, name, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] < 1.0
    assert seen[-1] == pytest.approx(1.0)
    asked = []

    def cancelled():
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(ComparisonCancelled):
        compare(A, B, name, cancelled=cancelled)
    assert len(asked) == 3


def test_options_reach_the_measure():
    values = compare(A, B, "svcca", threshold=0.5).values
    np.testing.assert_allclose(values, one_by_one(A, B, "svcca", threshold=0.5), atol=1e-10)
    groups = np.repeat(np.arange(30), 3)
    name = "cross_validated_regression_x_to_y"
    values = compare(A, B, name, groups=groups, folds=3).values
    np.testing.assert_allclose(values, one_by_one(A, B, name, groups=groups, folds=3), atol=1e-10)


def test_random_float32_nets_are_one_with_themselves():
    layers = model(3, 300, (64, 256, 128), np.float32)
    copies = {key: values.copy() for key, values in layers.items()}
    for name in ("linear_cka", "unbiased_linear_cka", "whitened_correlation"):
        diagonal = compare(layers, copies, name).values.diagonal()
        np.testing.assert_allclose(diagonal, 1.0, atol=1e-6)


def test_unbiased_cka_of_float32_noise_is_computed_in_float64():
    """Almost all of a wide noise layer's HSIC is bias; rounding would show in what is left."""
    random = np.random.default_rng(1)
    noise = {str(i): random.standard_normal((60, 12000)).astype(np.float32) for i in range(2)}
    signal = random.standard_normal((60, 3))
    noise["signal"] = (noise["0"] + signal @ random.standard_normal((3, 12000))).astype(np.float32)
    name = "unbiased_linear_cka"
    layers = {key: noise[key] for key in ("0", "signal")}
    exact = compare(layers, layers, name, precision="double").values
    np.testing.assert_allclose(compare(layers, layers, name).values, exact, atol=1e-12)


def test_import_is_light_and_needs_no_framework():
    """The tab waits for the names of the measures, and so does every worker."""
    code = (
        "import sys, tb_modelcompare.similarity; print(*(name for name in sys.modules if name in "
        "{'tensorflow', 'tensorboard', 'keras', 'torch', 'PIL', 'scipy.stats', 'scipy.optimize'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

"""The large products: tiles of any size give plain numpy's numbers, the same bits on any number of
threads, and BLAS's own threads have nothing to do."""

from __future__ import annotations

import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from patience import HANG
from threadpoolctl import threadpool_info, threadpool_limits

from tb_modelcompare.similarity import ComparisonCancelled, compare, products
from tb_modelcompare.similarity.threads import spread

CKA = ["linear_cka", "unbiased_linear_cka"]

SHAPES = {
    "Gram matrices, one tile": (70, (1, 3, 90, 200), (5, 160)),
    "Gram matrices, odd tiles": (1037, (1, 2, 700, 900), (1100, 3, 1)),
    "covariances, one tile": (300, (1, 2, 30), (7,)),
    "covariances, odd tiles": (1300, (1, 515, 40), (513, 2, 2)),
}


def model(rows: int, widths: tuple[int, ...], seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    signal = np.random.default_rng(9).standard_normal((rows, 8))
    return {
        f"layer{index}": (
            signal @ random.standard_normal((8, width)) + random.standard_normal((rows, width)) + 3
        ).astype(np.float32)
        for index, width in enumerate(widths)
    }


def two_models(shape: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rows, widths_a, widths_b = SHAPES[shape]
    return model(rows, widths_a, 1), model(rows, widths_b, 2)


def plain(a: dict[str, np.ndarray], b: dict[str, np.ndarray], unbiased: bool) -> np.ndarray:
    """CKA from whole centred Gram matrices in float64, Song et al. 2012 for the unbiased one."""

    def gram(values: np.ndarray) -> np.ndarray:
        centred = values - values.mean(axis=0, dtype=np.float64)
        whole = centred @ centred.T
        return whole - np.diag(np.diag(whole)) if unbiased else whole

    def hsic(K: np.ndarray, L: np.ndarray) -> float:
        n, square = len(K), float(np.vdot(K, L))
        if not unbiased:
            return square
        sums = K.sum(axis=0) @ L.sum(axis=0)
        return float(square + K.sum() * L.sum() / (n - 1) / (n - 2) - 2 * sums / (n - 2))

    left, right = ([gram(values) for values in one.values()] for one in (a, b))
    own = np.outer([hsic(K, K) for K in left], [hsic(L, L) for L in right])
    return np.array([[hsic(K, L) for L in right] for K in left]) / np.sqrt(own)


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over several blocks of rows, of few rows."""
    monkeypatch.setattr("tb_modelcompare.similarity.activations.row_blocks.__defaults__", (256,))


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("name", CKA)
@pytest.mark.parametrize("shape", list(SHAPES))
def test_tiles_of_any_size_give_the_numbers_of_plain_numpy(name: str, shape: str) -> None:
    a, b = two_models(shape)
    expected = plain(a, b, name == "unbiased_linear_cka")
    for memory in (2**30, 2**20):
        values = compare(a, b, name, memory=memory).values
        np.testing.assert_allclose(values, expected, atol=1e-6)
        exact = compare(a, b, name, memory=memory, precision="double").values
        np.testing.assert_allclose(exact, expected, atol=1e-12)
        within = compare(a, a, name, memory=memory, precision="double").values
        np.testing.assert_allclose(within, plain(a, a, name == "unbiased_linear_cka"), atol=1e-12)


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("name", [*CKA, "whitened_correlation", "procrustes", "rbf_cka"])
@pytest.mark.parametrize("shape", ["Gram matrices, odd tiles", "covariances, odd tiles"])
def test_the_same_bits_on_any_number_of_threads(name: str, shape: str) -> None:
    a, b = two_models(shape)
    if name not in CKA:
        a, b = ({key: X[:600, :540] for key, X in one.items()} for one in (a, b))
    for second in (a, b):
        runs = []
        for threads in (1, 2, 5):
            with threadpool_limits(threads, user_api="blas"):
                runs.append(compare(a, second, name).values)
        assert (runs[0] == runs[1]).all()
        assert (runs[0] == runs[2]).all()


def test_a_tile_has_one_thread_of_blas() -> None:
    def threads(item: int) -> set[int]:
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    with threadpool_limits(3, user_api="blas"):
        assert all(found == {1} for found in spread(threads, range(6)))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("shape", [(1200, 700), (3000, 300)], ids=["Gram", "covariances"])
def test_threads_of_blas_itself_do_nothing(shape: tuple[int, int]) -> None:
    """They would spin where a processor is busy: all CPU seconds are those of Python's threads."""
    code = f"""
import threading, time
from pathlib import Path
import numpy as np
from threadpoolctl import threadpool_limits
from tb_modelcompare.similarity import compare

def ticks():
    found = {{}}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        found[int(task.name)] = int(fields[11]) + int(fields[12])
    return found

random = np.random.default_rng(0)
a = {{str(i): random.standard_normal({shape}, dtype=np.float32) for i in range(5)}}
threadpool_limits(4, user_api="blas")
compare(a, dict(a), "unbiased_linear_cka")  # starts all threads
before = ticks()
for _ in range(3):
    compare(a, dict(a), "unbiased_linear_cka")
spent = {{task: count - before.get(task, 0) for task, count in ticks().items()}}
ours = sum(spent.get(one.native_id, 0) for one in threading.enumerate())
print(ours, sum(spent.values()) - ours)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=HANG
    )
    ours, others = map(int, done.stdout.split())
    assert ours >= 10
    assert others <= ours / 10


@pytest.mark.parametrize("rows", [1200, 4500], ids=["Gram", "covariances"])
def test_memory_is_bounded(rows: int) -> None:
    a, b = model(rows, (200,) * 12, 1), model(rows, (200,) * 8, 2)
    expected = compare(a, b, "linear_cka").values
    memory = 8 * 2**20
    tracemalloc.start()
    try:
        values = compare(a, b, "linear_cka", memory=memory).values
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(values, expected, atol=1e-6)
    stacked = 2 * 4 * min(rows, 4096) * 724  # rows of a group of layers whose sums fit
    assert peak < memory + (stacked if rows > 4000 else 2**20)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("same", [True, False])
def test_progress_is_all_of_the_work(shape: str, same: bool) -> None:
    a, b = two_models(shape)
    told: list[float] = []
    compare(a, a if same else b, "linear_cka", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("shape", ["Gram matrices, odd tiles", "covariances, odd tiles"])
def test_cancelling_takes_effect_between_tiles(shape: str) -> None:
    a, b = two_models(shape)
    told: list[float] = []
    with pytest.raises(ComparisonCancelled):
        compare(a, b, "linear_cka", progress=told.append, cancelled=lambda: len(told) > 1)
    assert len(told) == 2


def test_callers_at_the_same_time_get_what_each_gets_alone() -> None:
    a, b = two_models("Gram matrices, odd tiles")
    c, d = two_models("covariances, odd tiles")
    alone = [compare(a, b).values, compare(c, d).values]
    found: dict[int, np.ndarray] = {}

    def caller(index: int) -> None:
        found[index] = compare(*((a, b), (c, d))[index % 2]).values

    callers = [threading.Thread(target=caller, args=(index,)) for index in range(4)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    for index in range(4):
        assert (found[index] == alone[index % 2]).all()


def test_many_parts_of_long_lines_are_added_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "PART", 5)
    monkeypatch.setattr(products, "SUM_LENGTH", 3)
    lines = np.random.default_rng(0).standard_normal((4, 1003))
    np.testing.assert_allclose(
        products.spread_inner_products(lines[:1], lines), lines[:1] @ lines.T
    )
    np.testing.assert_allclose(products.squared_lengths(lines), np.square(lines).sum(axis=1))

"""Similarity of all pairs of layers: ours against peers, as ratios in one run.

    python benchmarks/similarity.py [--only notebook whole minibatch wide] [--repeats 3]

Peers that are not installed are skipped, and said so: pip install pytorch-cka torch-cka ckatorch
rsatoolbox netrep (and torch). Everything runs on identical float32 activations with the same
threads (set OMP_NUM_THREADS). On a machine that others use too, `--clock cpu` with
OMP_NUM_THREADS=1 counts this process's own CPU seconds instead. Each section measures this
machine's sgemm beside it; the floor is the multiply-adds that are mathematically needed over
that rate. Times are medians.

- notebook: the whitened correlation of 12 layers of InceptionV1's widths, all 144 pairs, as
  lucid's notebook computes it (C, Cholesky of the inverse, a full SVD for every pair), and ours,
  with its first look; memory-mapped.
- whole: linear and unbiased CKA on whole arrays, each peer against the same estimator of ours.
- minibatch: unbiased HSIC averaged over minibatches, the estimator of Nguyen et al. 2021.
- wide: 200 layers by 200 layers, widths up to 2,048, 4,096 rows, memory-mapped; peak memory.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from cka_peers import (
    ckatorch,
    ckatorch_by_batches,
    netrep,
    pytorch_cka,
    pytorch_cka_by_batches,
    rsatoolbox,
    torch_cka_by_batches,
)
from threadpoolctl import threadpool_limits

from tb_modelcompare import similarity

Matrix = npt.NDArray[Any]
Layers = dict[str, Matrix]

WIDTHS = (64, 128, 256, 512, 1024)
INCEPTION = (64, 64, 192, 256, 480, 508, 512, 512, 528, 832, 832, 1024)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
clock = CLOCKS["wall"]


def timed(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median seconds, and the last result. Interleave calls to compare under a varying load."""
    seconds = []
    for _ in range(repeats):
        began = clock()
        result = function()
        seconds.append(clock() - began)
    return statistics.median(seconds), result


def gemm_rate(dtype: npt.DTypeLike, size: int = 2048) -> float:
    """Multiply-adds per second of a square product, the median of five."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
    a @ a
    return size**3 / timed(lambda: a @ a, 5)[0]


def activations(rows: int, widths: tuple[int, ...], seed: int = 0) -> Layers:
    """ReLU layers that share a signal, well conditioned, float32."""
    random = np.random.default_rng(seed)
    signal = random.standard_normal((rows, 64), dtype=np.float32)
    layers = {}
    for index, width in enumerate(widths):
        mixing = random.standard_normal((64, width), dtype=np.float32) / 8
        noise = random.standard_normal((rows, width), dtype=np.float32)
        layers[f"layer{index}"] = np.maximum(signal @ mixing + noise, 0)
    return layers


def row(name: str, seconds: float, base: float, error: float | None = None, note: str = "") -> None:
    deviation = "" if error is None else f"{error:9.1e}"
    print(f"{name:44} {seconds:9.3f} s {seconds / base:7.2f} × {deviation:>10}  {note}")


# --- the seed notebook --------------------------------------------------------------------------


def notebook(layers: Layers) -> Matrix:
    """lucid's cells as they stand, on float32."""

    def moment(X: Matrix, Y: Matrix) -> Matrix:
        return X.T @ Y / len(X)

    L = {key: np.linalg.cholesky(np.linalg.inv(moment(X, X))) for key, X in layers.items()}
    values = np.empty((len(layers), len(layers)))
    for i, (a, X) in enumerate(layers.items()):
        for j, (b, Y) in enumerate(layers.items()):
            singular = np.linalg.svd(L[a].T @ moment(X, Y) @ L[b])[1]
            values[i, j] = singular.sum() / max(X.shape[1], Y.shape[1])
    return values


def singular_values_alone(layers: Layers) -> None:
    """Singular values, without vectors, of one matrix of each pair's shape."""
    random = np.random.default_rng(0)
    widths = [X.shape[1] for X in layers.values()]
    for i, d1 in enumerate(widths):
        for d2 in widths[i + 1 :]:
            matrix = random.standard_normal((d1, d2), dtype=np.float32)
            scipy.linalg.svdvals(matrix, overwrite_a=True, check_finite=False)


def notebook_floor(layers: Layers, rows: int) -> float:
    """Multiply-adds: half of the covariance of all units, and whitening each pair from both
    sides by triangular factors."""
    widths = [X.shape[1] for X in layers.values()]
    total = rows * sum(widths) ** 2 / 2
    for i, d1 in enumerate(widths):
        total += d1**3 / 2
        total += sum((d1**2 * d2 + d1 * d2**2) / 2 for d2 in widths[i + 1 :])
    return total


def against_notebook(options: argparse.Namespace) -> None:
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            layers = memory_mapped(activations(rows, tuple(options.widths)), Path(folder))
            repeats = options.repeats if rows < 50_000 else 1
            notebook_at(layers, rows, repeats, int(options.memory * 2**20))


def notebook_at(layers: Layers, rows: int, repeats: int, memory: int) -> None:
    size = sum(X.nbytes for X in layers.values()) / 2**30
    widths = ", ".join(str(X.shape[1]) for X in layers.values())
    print(f"\nnotebook: layers of {widths} units, {rows} rows, {size:.2f} GiB of float32")
    theirs, ours, floors, singulars, looks = [], [], [], [], []
    peaks: list[float] = []
    before = own_memory()
    for _ in range(repeats):
        # Interleaved, as the machine's speed may vary during the run.
        floors.append(notebook_floor(layers, rows) / gemm_rate(np.float32))
        with threadpool_limits(1):  # where LAPACK is faster
            singulars.append(timed(lambda: singular_values_alone(layers), 1)[0])
        seconds, compared = timed(
            lambda: similarity.compare(
                layers,
                layers,
                "whitened_correlation",
                memory=memory,
                progress=lambda share: peaks.append(own_memory()),
            ),
            1,
        )
        ours.append(seconds)
        seconds, first = timed(
            lambda: next(similarity.refine(layers, layers, "whitened_correlation", memory=memory)),
            1,
        )
        looks.append(seconds)
        seconds, reference = timed(lambda: notebook(layers), 1)
        theirs.append(seconds)
    values = compared.values
    base = statistics.median(ours)
    floor, singular = statistics.median(floors), statistics.median(singulars)
    row("notebook", statistics.median(theirs), base, abs(reference - values).max())
    row("ours", base, base)
    if rows < 50_000:
        exact = similarity.compare(layers, layers, "whitened_correlation", precision="double")
        print(f"  error against float64: {abs(values - exact.values).max():.1e}")
    row("floor: products", floor, base)
    row("floor: singular values alone", singular, base)
    ratios = [o / (1.4 * f + s) for o, f, s in zip(ours, floors, singulars, strict=True)]
    print(f"  ours / (1.4 × products + singular values): {statistics.median(ratios):.2f}")
    print(f"  own memory at most {max(peaks) - before:.2f} GiB above {before:.2f} before")
    if first.exact:
        print("  no first look: all rows do not fit in memory (--memory)")
        return
    look = first.comparison
    row("first look", statistics.median(looks), base, abs(look.values - values).max())
    held = np.mean((look.low <= values) & (values <= look.high))
    wide = np.mean(look.high - look.low) / 2
    print(f"  its intervals, ± {wide:.3f} in the mean, hold {100 * held:.0f} % of the values")


def memory_mapped(layers: Layers, folder: Path) -> Layers:
    mapped = {}
    for name in list(layers):
        np.save(folder / f"{name}.npy", layers.pop(name))
        mapped[name] = np.load(folder / f"{name}.npy", mmap_mode="r")
    return mapped


# --- CKA on whole arrays ------------------------------------------------------------------------


def cka_definition(layers: Layers, unbiased: bool) -> Matrix:
    name = "unbiased_linear_cka" if unbiased else "linear_cka"
    return similarity.compare(layers, layers, name, precision="double").values


def against_cka_peers(options: argparse.Namespace) -> None:
    widths = tuple(int(w) for w in np.sort(np.resize(WIDTHS, options.layers)))
    rows = options.cka_rows
    layers = activations(rows, widths)
    layers = {key: X + np.float32(1.0) for key, X in layers.items()}
    half = rows**2 / 2 * (sum(widths) + len(widths) ** 2 / 2)
    covariances = rows * sum(widths) ** 2 / 2
    print(f"\nwhole arrays: {len(widths)} layers of widths 64 to 1,024, {rows} rows, float32")
    peers: dict[bool, dict[str, Callable[[Layers], Matrix]]] = {
        False: {
            "ckatorch, loops over pairs": lambda one: ckatorch(one, False),
            "netrep, loops over pairs": netrep,
            "rsatoolbox, loops over pairs": rsatoolbox,
        },
        True: {
            "pytorch-cka, all at once": pytorch_cka,
            "ckatorch, loops over pairs": lambda one: ckatorch(one, True),
        },
    }
    for unbiased, of_estimator in peers.items():
        name = "unbiased_linear_cka" if unbiased else "linear_cka"
        exact = cka_definition(layers, unbiased)
        of_estimator = without(options.without, of_estimator)
        contest(
            name,
            lambda name=name: similarity.compare(layers, layers, name).values,  # type: ignore[misc]
            {key: (lambda peer=peer: peer(layers)) for key, peer in of_estimator.items()},  # type: ignore[misc]
            exact,
            min(half, covariances) / gemm_rate(np.float32),
            options.repeats,
        )


def without(words: list[str], peers: dict[str, Any]) -> dict[str, Any]:
    """Peers whose names hold none of the words."""
    return {name: one for name, one in peers.items() if not any(word in name for word in words)}


def contest(
    name: str,
    ours: Callable[[], Matrix],
    peers: dict[str, Callable[[], Matrix]],
    exact: Matrix,
    floor: float,
    repeats: int,
) -> None:
    """Ours and every peer in turn, repeated; ratios of the medians."""
    seconds: dict[str, list[float]] = {"ours": []}
    errors: dict[str, float] = {}
    for _ in range(repeats):
        for key, function in {"ours": ours, **peers}.items():
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    elapsed, values = timed(function, 1)
            except ImportError as missing:
                if key not in seconds:
                    print(f"  {key}: not installed, skipped ({missing})")
                    seconds[key] = []
                continue
            seconds.setdefault(key, []).append(elapsed)
            errors[key] = float(abs(values - exact).max())
    print(f"  {name}")
    base = statistics.median(seconds["ours"])
    for key, measured in seconds.items():
        if measured:
            row(f"  {key}", statistics.median(measured), base, errors[key])
    row("  floor", floor, base)


# --- CKA over minibatches -----------------------------------------------------------------------


def ours_by_batches(layers: Layers, size: int) -> Matrix:
    stream = similarity.MinibatchCKA()
    rows = len(next(iter(layers.values())))
    for start in range(0, rows, size):
        stream.update({key: X[start : start + size] for key, X in layers.items()})
    return stream.compare().values


def against_minibatch_peers(options: argparse.Namespace) -> None:
    widths = tuple(int(w) for w in np.sort(np.resize(WIDTHS, options.layers)))
    rows, size = options.cka_rows, 256
    rows -= rows % size
    layers = {key: X + np.float32(1.0) for key, X in activations(rows, widths).items()}
    print(f"\nminibatches of {size}: {len(widths)} layers, {rows} rows, float32")
    doubles = {key: X.astype(np.float64) for key, X in layers.items()}
    floor = rows * size / 2 * (sum(widths) + len(widths) ** 2 / 2) / gemm_rate(np.float32)
    peers: dict[str, Callable[[], Matrix]] = {
        "pytorch-cka, all at once": lambda: pytorch_cka_by_batches(layers, size),
        "torch-cka, loops over pairs": lambda: torch_cka_by_batches(layers, size),
        "ckatorch, loops over pairs": lambda: ckatorch_by_batches(layers, size),
    }
    contest(
        "unbiased HSIC averaged over minibatches",
        lambda: ours_by_batches(layers, size),
        without(options.without, peers),
        ours_by_batches(doubles, size),
        floor,
        options.repeats,
    )


# --- many wide layers ---------------------------------------------------------------------------


def many_wide_layers(options: argparse.Namespace) -> None:
    count, rows = options.wide_layers, options.wide_rows
    widths = np.resize((256, 512, 1024, 2048), count)
    random = np.random.default_rng(0)
    print(f"\nwide: {count} by {count} layers, widths 256 to 2,048, {rows} rows, memory-mapped")
    with tempfile.TemporaryDirectory() as folder:
        layers: Layers = {}
        for index, width in enumerate(widths):
            path = Path(folder) / f"{index}.npy"
            np.save(path, random.standard_normal((rows, int(width)), dtype=np.float32))
            layers[str(index)] = np.load(path, mmap_mode="r")
        rate = gemm_rate(np.float32)
        before, memory = own_memory(), 2**30
        for name in ("linear_cka", "unbiased_linear_cka"):
            peaks: list[float] = []
            seconds, _ = timed(
                lambda name=name, peaks=peaks: similarity.compare(  # type: ignore[misc]
                    layers,
                    layers,
                    name,
                    progress=lambda share: peaks.append(own_memory()),
                    memory=memory,
                ),
                1,
            )
            floor = rows**2 / 2 * (float(widths.sum()) + count**2 / 2) / rate
            row(name, seconds, seconds, note=f"floor {floor:.1f} s, {len(peaks)} progress calls")
            print(
                f"  bound {memory / 2**30:.2f} GiB; own memory at most "
                f"{max(peaks) - before:.2f} GiB above {before:.2f} before"
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        data = rows * float(widths.sum()) * 4
        print(
            f"activations {data / 2**30:.1f} GiB; peak resident memory {peak / 2**20:.2f} GiB, "
            "pages of the mapped files included"
        )
        asked: list[float] = []
        try:
            similarity.compare(
                layers,
                layers,
                progress=lambda share: asked.append(clock()) if share > 0.05 else None,
                cancelled=lambda: bool(asked),
            )
        except similarity.ComparisonCancelled:
            print(f"cancelled at 5 %: stopped {1000 * (clock() - asked[0]):.0f} ms later")


def own_memory() -> float:
    """GiB of resident memory that is no file's, of this process (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 2**20


SECTIONS = {
    "notebook": against_notebook,
    "whole": against_cka_peers,
    "minibatch": against_minibatch_peers,
    "wide": many_wide_layers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 100_000], help="of the notebook section"
    )
    parser.add_argument(
        "--widths", type=int, nargs="+", default=INCEPTION, help="of the notebook section's layers"
    )
    parser.add_argument(
        "--memory",
        type=float,
        default=1024,
        metavar="MIB",
        help="for work arrays, of the notebook section",
    )
    parser.add_argument("--cka-rows", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=20, help="of the CKA sections")
    parser.add_argument("--wide-rows", type=int, default=4096)
    parser.add_argument("--wide-layers", type=int, default=200)
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        metavar="WORD",
        help="leave out peers with a word in their name: those that loop take minutes for many "
        "layers",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    options = parser.parse_args()
    global clock
    clock = CLOCKS[options.clock]
    print(f"sgemm {2 * gemm_rate(np.float32) / 1e9:.0f} GFLOP/s, dgemm", end=" ")
    print(f"{2 * gemm_rate(np.float64) / 1e9:.0f} GFLOP/s; {options.clock} seconds")
    print(f"{'':44} {'time':>11} {'over ours':>9} {'error':>10}")
    for section in options.only:
        SECTIONS[section](options)


if __name__ == "__main__":
    main()

"""Similarity of all pairs of layers: ours against peers, as ratios in one run.

    python benchmarks/similarity.py [--only models all-layers notebook whole minibatch wide]

Peers that are not installed are skipped, and said so: pip install pytorch-cka torch-cka ckatorch
rsatoolbox netrep (and torch). Everything runs on identical float32 activations with the same
threads (set OMP_NUM_THREADS). Every row is measured at rest and while another process keeps one
core busy, in seconds of wall and of this process's CPU; times are medians, ratios are to ours in
the same situation. Each section measures this machine's sgemm beside it; the floor is the
multiply-adds that are mathematically needed at its rate.

- models: linear CKA of 12 layers of GoogLeNet with 18 of MobileNetV2, and on one BLAS thread.
- all-layers: the same of all 143 with all 100 layers.
- notebook: the whitened correlation of 12 layers of InceptionV1's widths, all 144 pairs, as
  lucid's notebook computes it (C, Cholesky of the inverse, a full SVD for every pair), and ours,
  with its first progressive estimate; memory-mapped.
- whole: linear and unbiased CKA on whole arrays, each peer against the same estimator of ours.
- minibatch: unbiased HSIC averaged over minibatches, the estimator of Nguyen et al. 2021.
- wide: 200 layers by 200 layers, widths up to 2,048, 4,096 rows, memory-mapped; peak memory.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cka_peers import (
    ckatorch,
    ckatorch_by_batches,
    netrep,
    pytorch_cka,
    pytorch_cka_by_batches,
    rsatoolbox,
    torch_cka_by_batches,
)
from layers import (
    GOOGLENET,
    INCEPTION,
    MOBILENET_V2,
    Layers,
    Matrix,
    activations,
    memory_mapped,
    whole_googlenet,
    whole_mobilenet_v2,
)
from seed_notebook import notebook, notebook_floor, singular_values_alone
from threadpoolctl import threadpool_limits
from timing import GEMM_SIZE, Measured, floor, gemm, head, measure, own_memory, row

from tb_modelcompare import similarity

WIDTHS = (64, 128, 256, 512, 1024)
SGEMM = "sgemm"


# --- two models ---------------------------------------------------------------------------------


def two_models(options: argparse.Namespace) -> None:
    linear_cka("models", options.models_rows, GOOGLENET, MOBILENET_V2, options.repeats)


def all_layers_of_two_models(options: argparse.Namespace) -> None:
    linear_cka("all-layers", options.models_rows, whole_googlenet(), whole_mobilenet_v2(), 1)


def linear_cka(
    section: str, rows: int, widths_a: Sequence[int], widths_b: Sequence[int], repeats: int
) -> None:
    print(f"\n{section}: linear CKA, {len(widths_a)} × {len(widths_b)} layers, {rows} rows")
    a, b = activations(rows, widths_a), activations(rows, widths_b, seed=1)

    def ours() -> Matrix:
        return similarity.compare(a, b, "linear_cka").values

    def on_one_thread() -> Matrix:
        with threadpool_limits(1, user_api="blas"):
            return ours()

    found = measure({SGEMM: gemm(), "ours": ours, "ours, one thread": on_one_thread}, repeats)
    layers = len(widths_a) + len(widths_b)
    needed = rows**2 / 2 * (sum(widths_a) + sum(widths_b) + len(widths_a) * len(widths_b) + layers)
    row("ours", found["ours"], found["ours"])
    row("ours, one thread", found["ours, one thread"], found["ours"])
    row("floor, of Gram matrices", floor(found[SGEMM], needed), found["ours"])
    same = (found["ours"].result == found["ours, one thread"].result).all()
    print(f"  the same bits on one thread: {'yes' if same else 'no'}")
    ratio = found["ours"].busy.cpu / found["ours, one thread"].rest.cpu
    print(f"  CPU with one core busy / CPU of one thread at rest: {ratio:.2f}")


# --- the seed notebook --------------------------------------------------------------------------


def against_notebook(options: argparse.Namespace) -> None:
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            layers = memory_mapped(activations(rows, options.widths), Path(folder))
            repeats = options.repeats if rows < 50_000 else 1
            notebook_at(layers, rows, repeats, int(options.memory * 2**20))


def notebook_at(layers: Layers, rows: int, repeats: int, memory: int) -> None:
    size = sum(X.nbytes for X in layers.values()) / 2**30
    widths = ", ".join(str(X.shape[1]) for X in layers.values())
    print(f"\nnotebook: layers of {widths} units, {rows} rows, {size:.2f} GiB of float32")
    peaks: list[float] = []
    before = own_memory()

    def singular_values() -> None:
        with threadpool_limits(1):  # where LAPACK is faster
            singular_values_alone(layers)

    found = measure(
        {
            SGEMM: gemm(),
            "floor: singular values alone": singular_values,
            "ours": lambda: similarity.compare(
                layers,
                layers,
                "whitened_correlation",
                memory=memory,
                progress=lambda share: peaks.append(own_memory()),
            ),
            "first estimate": lambda: next(
                similarity.refine(layers, layers, "whitened_correlation", memory=memory)
            ),
            "notebook": lambda: notebook(layers),
        },
        repeats,
    )
    ours, values = found["ours"], found["ours"].result.values
    row("notebook", found["notebook"], ours, abs(found["notebook"].result - values).max())
    row("ours", ours, ours)
    if rows < 50_000:
        exact = similarity.compare(layers, layers, "whitened_correlation", precision="double")
        print(f"  error against float64: {abs(values - exact.values).max():.1e}")
    products, singular = (
        floor(found[SGEMM], notebook_floor(layers, rows)),
        found["floor: singular values alone"],
    )
    row("floor: products", products, ours)
    row("floor: singular values alone", singular, ours)
    ratio = ours.rest.wall / (1.4 * products.rest.wall + singular.rest.wall)
    print(f"  ours / (1.4 × products + singular values): {ratio:.2f}")
    print(f"  own memory at most {max(peaks) - before:.2f} GiB above {before:.2f} before")
    first = found["first estimate"].result
    if first.exact:
        print("  no progressive estimate: all rows do not fit in memory (--memory)")
        return
    estimate = first.comparison
    row("first estimate", found["first estimate"], ours, abs(estimate.values - values).max())
    held = np.mean((estimate.low <= values) & (values <= estimate.high))
    wide = np.mean(estimate.high - estimate.low) / 2
    print(f"  its intervals, ± {wide:.3f} in the mean, hold {100 * held:.0f} % of the values")


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
            min(half, covariances),
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
    needed: float,
    repeats: int,
) -> None:
    """Ours and every peer in turn, and the floor of the multiply-adds that are needed."""
    print(f"  {name}")
    found = measure({SGEMM: gemm(), "ours": ours, **peers}, repeats)
    of_gemm = found.pop(SGEMM)
    for key, measured in found.items():
        row(f"  {key}", measured, found["ours"], float(abs(measured.result - exact).max()))
    row("  floor", floor(of_gemm, needed), found["ours"])


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
        rows * size / 2 * (sum(widths) + len(widths) ** 2 / 2),
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
        for name in ("linear_cka", "unbiased_linear_cka"):
            wide(name, layers, rows**2 / 2 * (float(widths.sum()) + count**2 / 2))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        data = rows * float(widths.sum()) * 4
        print(
            f"activations {data / 2**30:.1f} GiB; peak resident memory {peak / 2**20:.2f} GiB, "
            "pages of the mapped files included"
        )
        found = measure({"cancel": lambda: cancelled_at_5_percent(layers)}, 1)["cancel"]
        print(f"cancelled at 5 %: stopped {1000 * found.result:.0f} ms later")
        row("a comparison until then", found, found)


def wide(name: str, layers: Layers, needed: float) -> None:
    peaks: list[float] = []
    before, memory = own_memory(), 2**30

    def ours() -> None:
        similarity.compare(
            layers,
            layers,
            name,
            progress=lambda share: peaks.append(own_memory()),
            memory=memory,
        )

    found = measure({SGEMM: gemm(), name: ours}, 1)
    row(name, found[name], found[name])
    row("  floor", floor(found[SGEMM], needed), found[name])
    print(
        f"  bound {memory / 2**30:.2f} GiB; own memory at most {max(peaks) - before:.2f} GiB above "
        f"{before:.2f} before; {len(peaks) // 2} progress calls"
    )


def cancelled_at_5_percent(layers: Layers) -> float:
    """Seconds from the wish to cancel to the end."""
    asked: list[float] = []
    try:
        similarity.compare(
            layers,
            layers,
            progress=lambda share: asked.append(time.perf_counter()) if share > 0.05 else None,
            cancelled=lambda: bool(asked),
        )
    except similarity.ComparisonCancelled:
        return time.perf_counter() - asked[0]
    raise AssertionError("The comparison ended although it was cancelled.")


SECTIONS = {
    "models": two_models,
    "all-layers": all_layers_of_two_models,
    "notebook": against_notebook,
    "whole": against_cka_peers,
    "minibatch": against_minibatch_peers,
    "wide": many_wide_layers,
}


def rate(of_gemm: Measured) -> float:
    return 2 * GEMM_SIZE**3 / of_gemm.rest.wall / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 100_000], help="of the notebook section"
    )
    parser.add_argument(
        "--widths",
        type=int,
        nargs="+",
        default=list(INCEPTION),
        help="of the notebook section's layers",
    )
    parser.add_argument(
        "--memory",
        type=float,
        default=1024,
        metavar="MIB",
        help="for work arrays, of the notebook section",
    )
    parser.add_argument("--models-rows", type=int, default=4000, help="of both models' sections")
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
    options = parser.parse_args()
    rates = measure({"sgemm": gemm(), "dgemm": gemm(np.float64)}, options.repeats)
    for name, found in rates.items():
        print(f"{name} {rate(found):.0f} GFLOP/s at rest")
    head()
    for section in options.only:
        SECTIONS[section](options)


if __name__ == "__main__":
    main()

"""Mean CCA of very many small layers: ours, a call for each pair, and NumPy pair after pair.

    OMP_NUM_THREADS=1 python benchmarks/small_layers.py [--layers 120] [--units 16] [--rows 200]

Two models of so many layers of independent normal numbers, float32, are compared as wholes. The
ways take turns in one process, so that what else the machine does slows all of them. Seconds are
of this process's CPU, medians over the turns, as wall seconds mean little beside other programs;
ratios are to ours. The difference is the largest one from NumPy's values.

- ours: `similarity.compare`, which takes many pairs at a time.
- each, a call for each pair: the same without `MomentPlan.combine_many`, as it was before.
- numpy: an orthonormal basis of each layer in float64, once; then, for each pair, the singular
  values of the product of two bases.

`--only ours` is for the full size, `--layers 2000`, where the others take minutes.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from layers import Layers, Matrix
from timing import Seconds, timed

from tb_modelcompare import similarity
from tb_modelcompare.similarity import MEASURES, Measure
from tb_modelcompare.similarity.registry import MomentPlan

MEASURE = "mean_cca"
OURS, EACH, NUMPY = WAYS = ("ours", "each", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--layers", type=int, default=120, help="of each model")
    parser.add_argument("--units", type=int, default=16, help="of each layer")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=WAYS, default=WAYS, metavar="WAY")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    a, b = (
        {
            str(index): random.standard_normal((options.rows, options.units), dtype=np.float32)
            for index in range(options.layers)
        }
        for _ in range(2)
    )
    ways: dict[str, Callable[[], Matrix]] = {
        OURS: lambda: similarity.compare(a, b, MEASURE).values,
        EACH: lambda: similarity.compare(a, b, a_call_for_each_pair(MEASURES[MEASURE])).values,
        NUMPY: lambda: pair_after_pair(a, b),
    }
    print(f"{options.layers} × {options.layers} layers of {options.units} units, ", end="")
    print(f"{options.rows} rows, {options.repeats} turns", flush=True)
    taken: dict[str, list[Seconds]] = {way: [] for way in options.only}
    values: dict[str, Matrix] = {}
    for _ in range(options.repeats):
        for way in options.only:
            seconds, values[way] = timed(ways[way])
            taken[way].append(seconds)
    cpu = {way: statistics.median(one.cpu for one in several) for way, several in taken.items()}
    print(f"{'':8} {'CPU':>9} {'/ ours':>7} {'wall':>9} {'difference':>11}")
    for way, several in taken.items():
        ratio = f"{cpu[way] / cpu[OURS]:.2f}" if OURS in cpu else "–"
        wall = statistics.median(one.wall for one in several)
        difference = f"{abs(values[way] - values[NUMPY]).max():.1e}" if NUMPY in values else "–"
        print(f"{way:8} {cpu[way]:8.2f}s {ratio:>7} {wall:8.2f}s {difference:>11}", flush=True)


def a_call_for_each_pair(measure: Measure) -> Measure:
    def plan(**options: Any) -> MomentPlan:
        many = measure.plan(**options)
        assert isinstance(many, MomentPlan)
        return replace(many, combine_many=None)

    return replace(measure, plan=plan)


def pair_after_pair(a: Layers, b: Layers) -> Matrix:
    """Mean CCA as the singular values of products of orthonormal bases."""
    left, right = (
        [np.linalg.qr(X - X.mean(axis=0, dtype=np.float64))[0] for X in side.values()]
        for side in (a, b)
    )
    return np.array(
        [[np.linalg.svd(x.T @ y, compute_uv=False).mean() for y in right] for x in left]
    )


if __name__ == "__main__":
    main()

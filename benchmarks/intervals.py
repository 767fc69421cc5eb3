"""Intervals over images and a permutation null, all at once against one comparison for each.

One layer against eight, as the tab asks when a layer is pinned. Ours is `compare(…, permutations=,
resamples=)`; beside it every set of rows is compared anew, for a few of them, and their
time scaled to all. Rectified random features of a shared signal.

    python benchmarks/intervals.py [--rows 4000] [--units 512] [--permutations 20] [--resamples 40]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tb_modelcompare.similarity import compare
from tb_modelcompare.similarity.significance import BLOCKS, permutations_of, resamples_of

POSITIONS = 4
FEW = 3  # sets of each kind that are compared anew
NAMES = ("linear_cka", "unbiased_linear_cka", "whitened_correlation", "mean_cca")


def main() -> None:
    arguments = parse()
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((arguments.rows, 64)).astype(np.float32)

    def layer() -> np.ndarray:
        mixed = signal @ rng.standard_normal((64, arguments.units)).astype(np.float32)
        noise = rng.standard_normal(mixed.shape).astype(np.float32)
        return np.maximum(mixed + 4 * noise, 0)

    a, b = {"x": layer()}, {f"y{i}": layer() for i in range(8)}
    image = np.arange(arguments.rows) // POSITIONS
    wanted = {"permutations": arguments.permutations, "resamples": arguments.resamples}
    print(f"{'measure':24}{'ours':>9}{'anew':>9}{'ratio':>8}   seconds; largest difference")
    for name in NAMES:
        begun = time.perf_counter()
        ours = compare(a, b, name, groups=image, **wanted)
        seconds = time.perf_counter() - begun
        few = compare(a, b, name, groups=image, permutations=FEW, resamples=2)
        begun = time.perf_counter()
        null = [
            compare(a, {key: values[order] for key, values in b.items()}, name).values
            for order in permutations_of(image, FEW, 0)
        ]
        of_permutations = (time.perf_counter() - begun) / FEW
        begun = time.perf_counter()
        for order in resamples_of(image, FEW, BLOCKS, 0):
            left, right = ({k: v[order] for k, v in side.items()} for side in (a, b))
            compare(left, right, name)
        of_resamples = (time.perf_counter() - begun) / FEW
        anew = of_permutations * arguments.permutations + of_resamples * arguments.resamples
        error = np.abs(np.mean(null, axis=0) - few.null_mean).max()
        assert ours.low is not None
        print(f"{name:24}{seconds:9.2f}{anew:9.2f}{anew / seconds:8.1f}   {error:.1e}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--permutations", type=int, default=20)
    parser.add_argument("--resamples", type=int, default=40)
    return parser.parse_args()


if __name__ == "__main__":
    main()

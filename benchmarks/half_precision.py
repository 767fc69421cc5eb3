"""By how much each measure changes where activations are stored as float16.

    python benchmarks/half_precision.py [LOGDIR A B] [--rows 800]

Without a log: ReLU layers of six widths over five orders of magnitude, of 200 images at four
positions, against a noisy copy of them; one has a unit 10,000 times as strong as the others.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

from tb_modelcompare import open_snapshot
from tb_modelcompare.similarity import MEASURES, compare

Layers = dict[str, np.ndarray]


def random_layers() -> tuple[Layers, Layers, np.ndarray]:
    rng = np.random.default_rng(0)
    images = np.repeat(np.arange(200), 4)
    hidden = rng.standard_normal((200, 40))[images] + 0.5 * rng.standard_normal((800, 40))
    a, b = {}, {}
    for number, units in enumerate((8, 16, 32, 64, 128, 256)):
        mixed = hidden @ rng.standard_normal((40, units)) * 10.0 ** (number - 3)
        noise = rng.standard_normal(mixed.shape) * mixed.std()
        a[f"layer{number}"] = np.maximum(mixed, 0).astype(np.float32)
        b[f"layer{number}"] = np.maximum(mixed + noise, 0).astype(np.float32)
    a["layer2"][:, 0] *= 1e4
    return a, b, images


def halved(layers: Layers) -> Layers:
    """What is read back: float32 for the layers that float16 cannot hold."""
    largest = np.finfo(np.float16).max
    return {
        name: values if np.abs(values).max() > largest else values.astype(np.float16).astype("f4")
        for name, values in layers.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", nargs="*", metavar="LOGDIR A B")
    parser.add_argument("--rows", type=int, default=800, help="of a log, the first so many")
    options = parser.parse_args()
    if options.log:
        logdir, *names = options.log
        snapshots = [open_snapshot(logdir, name) for name in names]
        a, b = (
            {name: np.asarray(one.activations(name)[: options.rows]) for name in one.layer_names}
            for one in snapshots
        )
        per_image = snapshots[0].probe_record.positions_per_image
        images = np.arange(len(next(iter(a.values())))) // per_image
    else:
        a, b, images = random_layers()
    print(f"{len(a)} × {len(b)} layers, {len(images)} rows; largest difference, and its mean")
    for measure in MEASURES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole, half = (
                np.asarray(compare(*layers, measure, groups=images).values)
                for layers in ((a, b), (halved(a), halved(b)))
            )
        known = np.isfinite(whole) & np.isfinite(half)
        gap = np.abs(whole - half)[known]
        other = "" if np.array_equal(np.isfinite(whole), np.isfinite(half)) else "; NaN differ"
        print(f"{measure:32s} {gap.max(initial=0):.1e} {gap.mean():.1e}{other}")


if __name__ == "__main__":
    main()

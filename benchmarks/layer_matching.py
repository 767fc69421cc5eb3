"""The field's own sanity test of measures: is the same layer of another seed found?

Kornblith et al. 2019, section 6.1: train ten nets of one ten-layer architecture from different
initial weights; for every layer of one net take the most similar layer of another; count how
often it is the same layer. A measure that cannot do that cannot compare networks.

Here the architecture is theirs ("Tiny-10": eight convolutions with batch normalisation and
ReLU, global average pooling, logits), trained on the 1,797 real handwritten digits (8 × 8
pixels) that come with scikit-learn. Maps are flattened to (images, h × w × c) and the logits
left out as in the paper, so that the first layers have more units than images, as there.

    python benchmarks/layer_matching.py [--nets 10] [--epochs 8] [--rows 200]

Prints, per measure, the share of layers found beside the paper's Table 2, and Spearman's rank
correlation between the two orders.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from tb_modelcompare import similarity
from tb_modelcompare.errors import RowsFewerThanUnitsWarning

Array = npt.NDArray[np.float32]

PAPER = {
    "linear_cka": 99.3,
    "rbf_cka": 99.1,
    "linear_regression_y_to_x": 45.4,
    "svcca_r2": 15.1,
    "pwcca_x": 11.1,
    "r2_cca": 10.6,
    "svcca": 9.9,
    "mean_cca": 1.4,
}
"""Table 2 of Kornblith et al. 2019, per cent, for the measures that this package has as well."""

CHANNELS = (16, 16, 32, 32, 32, 64, 64, 64)
STRIDES = (1, 1, 2, 1, 1, 2, 1, 1)
KERNELS = (3, 3, 3, 3, 3, 3, 3, 1)


def trained_net(
    seed: int, images: Array, labels: npt.NDArray[np.int64], held_out: Array, epochs: int
) -> tuple[dict[str, Array], npt.NDArray[np.int64]]:
    """Activations of all layers but the logits on the held-out images, and the predicted digits."""
    import keras

    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((8, 8, 1))
    outputs = []
    for channels, stride, kernel in zip(CHANNELS, STRIDES, KERNELS, strict=True):
        x = keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
        outputs.append(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs.append(x)
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    model.compile(
        keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    *maps, logits = keras.Model(inputs, [*outputs, model.output]).predict(held_out, verbose=0)
    layers = {str(index): one.reshape(len(held_out), -1) for index, one in enumerate(maps)}
    return layers, logits.argmax(axis=1)


def found(values: npt.NDArray[np.float64], nets: int) -> float:
    """Per cent of (layer, other net) whose most similar layer there is the same layer."""
    depth = len(values) // nets
    hits = [
        values[i * depth : (i + 1) * depth, j * depth : (j + 1) * depth].argmax(axis=1)
        == np.arange(depth)
        for i in range(nets)
        for j in range(nets)
        if i != j
    ]
    return 100.0 * float(np.mean(hits))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nets", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rows", type=int, default=200, help="held-out images")
    parser.add_argument(
        "--also",
        nargs="*",
        default=[
            "unbiased_linear_cka",
            "whitened_correlation",
            "procrustes",
            "rsa_pearson",
            "mutual_knn",
        ],
    )
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    images = (digits.images[order, :, :, None] / 16.0).astype(np.float32)
    labels = digits.target[order].astype(np.int64)
    held_out, rest = slice(0, options.rows), slice(options.rows, None)

    started = time.perf_counter()
    layers: dict[str, Array] = {}
    for seed in range(options.nets):
        net, predicted = trained_net(
            seed, images[rest], labels[rest], images[held_out], options.epochs
        )
        accuracy = float(np.mean(predicted == labels[held_out]))
        print(f"net {seed}: {100 * accuracy:.1f} % of {options.rows} held-out digits right")
        layers.update({f"{seed}/{name}": values for name, values in net.items()})
    print(f"{options.nets} nets trained in {time.perf_counter() - started:.0f} s\n")

    warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)
    print(f"{'measure':28} {'found':>7} {'paper':>7} {'seconds':>8}")
    ours: dict[str, float] = {}
    for name in [*PAPER, *options.also]:
        began = time.perf_counter()
        # A dead layer would count as not found for every measure alike; there are none.
        values = similarity.compare(layers, layers, name).values
        ours[name] = found(values, options.nets)
        paper = f"{PAPER[name]:.1f} %" if name in PAPER else "–"
        print(f"{name:28} {ours[name]:5.1f} % {paper:>7} {time.perf_counter() - began:8.1f}")
    shared = list(PAPER)
    order_agrees = spearmanr([ours[name] for name in shared], [PAPER[name] for name in shared])
    print(
        f"\nchance {100 / (len(CHANNELS) + 1):.0f} %; all in {time.perf_counter() - started:.0f} s"
    )
    print(
        f"Spearman's rank correlation of our order with the paper's, {len(shared)} measures: "
        f"{order_agrees.statistic:.2f} (p = {order_agrees.pvalue:.3f})"
    )


if __name__ == "__main__":
    main()

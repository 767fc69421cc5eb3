"""The field's own sanity test of measures: is the same layer of another seed found?

Kornblith et al. 2019, section 6.1: train ten nets of one ten-layer architecture from different
initial weights; for every layer of one net take the most similar layer of another; count how
often it is the same layer. A measure that cannot do that cannot compare networks.

The architecture is theirs: eight convolutions with batch normalisation and ReLU, global average
pooling, logits. With `--width 1` it has the 16 to 64 channels of their "Tiny-10", and `--width`
multiplies these. It learns scikit-learn's digits, each moved about in 16 x 16 pixels, and is tested
on digits that it has not seen. With `--task photograph` it learns which of the 15 photographs that
come with scikit-image a window of 16 x 16 pixels was cut from, whichever way up the window stands,
and with `--task orientation` also which way up that is: 60 classes, of which the nets find about a
quarter. Test windows come from parts of the photographs that no training window touches. Maps are
flattened to (images, h x w x c) and the logits left out as in the paper, so that the first layers
have more units than images, as there.

    python benchmarks/layer_matching.py [--width 2] [--nets 3] [--epochs 3] [--rows 300]

Prints, per measure, the share of layers found beside the paper's Table 2, and Spearman's rank
correlation between the two orders; and for linear CKA which layer is taken for which, and from
how many rows it finds how many. Where k layers are equally similar (1 to rounding, as CCA
finds layers with more units than images), the right one among them counts 1/k.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.stats import spearmanr

from tb_modelcompare import similarity
from tb_modelcompare.demo.photographs import CLASSES, cut_windows, load_photographs
from tb_modelcompare.errors import RowsFewerThanUnitsWarning

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

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

ON_FEWER_NETS = ("pwcca_x", "mean_cca", "svcca", "whitened_correlation", "procrustes")
"""Measures that take singular values of every pair: of the first nets only."""

CHANNELS = (16, 16, 32, 32, 32, 64, 64, 64)
STRIDES = (1, 1, 2, 1, 1, 2, 1, 1)
KERNELS = (3, 3, 3, 3, 3, 3, 3, 1)
SIDE = 16


TASKS = ("digits", "photograph", "orientation")
COPIES = 4
"""How often each digit that is learned is moved elsewhere."""


def digits(rows: int) -> tuple[Array, Labels, Array, Labels]:
    """Digits of 12 pixels moved about in SIDE pixels, and so many others to test with."""
    from sklearn.datasets import load_digits

    known = load_digits()
    random = np.random.default_rng(0)
    order = random.permutation(len(known.images))
    if not 0 < rows < len(order):
        raise SystemExit(
            f"--rows is {rows}; there are {len(order)} digits, of which some are to be learned."
        )
    pixels = [Image.fromarray((15.9 * one).astype(np.uint8)) for one in known.images]
    large = [np.asarray(one.resize((12, 12), Image.Resampling.BICUBIC)) for one in pixels]

    def moved(which: Labels) -> tuple[Array, Labels]:
        images = np.full((len(which), SIDE, SIDE, 3), -2.0, np.float32)
        for image, digit in zip(images, which, strict=True):
            top, left = random.integers(0, SIDE - 11, 2)
            image[top : top + 12, left : left + 12] = large[digit][..., None] / 64.0 - 2.0
        return images, known.target[which].astype(np.int64)

    return *moved(np.tile(order[rows:], COPIES)), *moved(order[:rows])


def windows(per_class: int, test: bool, task: str) -> tuple[Array, Labels]:
    """Windows of SIDE pixels standing all four ways, about zero, and their classes.

    Where the way they stand is no class, test windows stand upright.
    """
    cut = cut_windows(load_photographs(), per_class, test=test)
    small = [Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BOX) for one in cut.images]
    upright = np.stack([np.asarray(one, np.float32) for one in small]) / 64.0 - 2.0
    if test and task == "photograph":
        return upright, cut.labels
    turned = np.concatenate([np.rot90(upright, turn, axes=(1, 2)) for turn in range(4)])
    if task == "photograph":
        return turned, np.tile(cut.labels, 4)
    return turned, np.concatenate([cut.labels * 4 + turn for turn in range(4)])


def learned(task: str, per_class: int, rows: int) -> tuple[Array, Labels, Array, Labels]:
    """What nets are trained with, and what they are tested and compared with."""
    if task == "digits":
        return digits(rows)
    held_out, truth = windows(-(-rows // len(CLASSES)), True, task)
    chosen = np.random.default_rng(0).permutation(len(held_out))[:rows]
    return *windows(per_class, False, task), held_out[chosen], truth[chosen]


def trained_net(
    seed: int, images: Array, labels: Labels, held_out: Array, epochs: int, width: int
) -> tuple[dict[str, Array], Labels]:
    """Activations of all layers but the logits on the held-out images, and the classes found."""
    import keras

    keras.utils.set_random_seed(seed)
    x = inputs = keras.Input((SIDE, SIDE, 3))
    outputs = []
    for index, (channels, stride, kernel) in enumerate(
        zip(CHANNELS, STRIDES, KERNELS, strict=True)
    ):
        padding = "valid" if index == 6 else "same"
        x = keras.layers.Conv2D(width * channels, kernel, stride, padding=padding, use_bias=False)(
            x
        )
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
        outputs.append(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs.append(x)
    model = keras.Model(inputs, keras.layers.Dense(int(labels.max()) + 1)(x))
    steps = epochs * -(-len(images) // 64)
    rate = keras.optimizers.schedules.CosineDecay(
        0.01, steps, warmup_target=0.1, warmup_steps=steps // 5
    )
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0)
    *maps, logits = keras.Model(inputs, [*outputs, model.output]).predict(held_out, verbose=0)
    layers = {str(index): rotated(one.reshape(len(held_out), -1)) for index, one in enumerate(maps)}
    return layers, logits.argmax(axis=1)


def rotated(layer: Array) -> Array:
    """A layer with more units than images in the coordinates of its principal components.

    No measure here sees the difference: CKA, SVCCA, CCA and regression do not depend on
    rotations, and PWCCA weighs correlations that are then all 1. It saves most of the work.
    """
    rows, units = layer.shape
    if units <= rows:
        return layer
    centred = layer.astype(np.float64)
    centred -= centred.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    kept = values > 1e-10 * values[-1]
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]), np.float32)


def taken_for(values: npt.NDArray[np.float64], nets: int) -> npt.NDArray[np.float64]:
    """Per cent of other nets in which a layer (down) is most similar to a layer there (across)."""
    depth = len(values) // nets
    shares = []
    for i in range(nets):
        for j in range(nets):
            if i != j:
                block = values[i * depth : (i + 1) * depth, j * depth : (j + 1) * depth]
                best = block >= block.max(axis=1, keepdims=True) - 1e-6
                shares.append(best / best.sum(axis=1, keepdims=True))
    return 100.0 * np.mean(shares, axis=0)


def found(values: npt.NDArray[np.float64], nets: int) -> float:
    """Per cent of (layer, other net) whose most similar layer there is the same layer."""
    return float(taken_for(values, nets).diagonal().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nets", type=int, default=3)
    parser.add_argument("--fewer-nets", type=int, default=3, help=", ".join(ON_FEWER_NETS))
    parser.add_argument("--task", choices=TASKS, default=TASKS[0])
    parser.add_argument("--width", type=int, default=2, help="times 16 to 64 channels")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--per-class", type=int, default=540, help="training windows, then turned")
    parser.add_argument("--rows", type=int, default=300, help="held-out images")
    parser.add_argument(
        "--also",
        nargs="*",
        default=["unbiased_linear_cka", "mutual_knn"],
    )
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    started = time.perf_counter()
    images, labels, held_out, truth = learned(options.task, options.per_class, options.rows)
    layers: dict[str, Array] = {}
    for seed in range(options.nets):
        net, predicted = trained_net(seed, images, labels, held_out, options.epochs, options.width)
        accuracy = float(np.mean(predicted == truth))
        print(
            f"net {seed}: {100 * accuracy:.1f} % of {options.rows} held-out images right",
            flush=True,
        )
        layers.update({f"{seed}/{name}": values for name, values in net.items()})
    print(f"{options.nets} nets trained in {time.perf_counter() - started:.0f} s\n", flush=True)

    warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)
    print(f"{'measure':28} {'found':>7} {'paper':>7} {'nets':>5} {'seconds':>8}")
    depth = len(layers) // options.nets
    ours: dict[str, float] = {}
    for name in [*PAPER, *options.also]:
        began = time.perf_counter()
        nets = min(options.nets, options.fewer_nets) if name in ON_FEWER_NETS else options.nets
        some = dict(list(layers.items())[: nets * depth])
        values = similarity.compare(some, some, name).values
        ours[name] = found(values, nets)
        if name == "linear_cka":
            linear = values
        paper = f"{PAPER[name]:.1f} %" if name in PAPER else "–"
        seconds = time.perf_counter() - began
        print(f"{name:28} {ours[name]:5.1f} % {paper:>7} {nets:5} {seconds:8.1f}", flush=True)
    print("\nlinear CKA takes a layer (down) for a layer of another net (across), per cent")
    print(np.round(taken_for(linear, options.nets)).astype(int))
    print("found from fewer rows:")
    for rows in (options.rows // 4, options.rows // 2):
        some = {name: values[:rows] for name, values in layers.items()}
        share = found(similarity.compare(some, some, "linear_cka").values, options.nets)
        print(f"  {rows}: {share:.1f} %")
    shared = list(PAPER)
    order_agrees = spearmanr([ours[name] for name in shared], [PAPER[name] for name in shared])
    print(f"\nchance {100 / depth:.0f} %; all in {time.perf_counter() - started:.0f} s")
    print(
        f"Spearman's rank correlation of our order with the paper's, {len(shared)} measures: "
        f"{order_agrees.statistic:.2f} (p = {order_agrees.pvalue:.3f})"
    )


if __name__ == "__main__":
    main()

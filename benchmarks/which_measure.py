"""Which measure misleads least? It should be 0 for unrelated layers, and find counterparts.

Two models of six layers each. Layer i of both sees the same eight causes, and no other layer does,
so that only pairs (i, i) are related. Layers of the second model have 16 to 256 units. For each
measure and kind of data this prints two numbers:

- unrelated: its mean over unrelated pairs, where 0 is right and 1 is the value of equal layers;
- found: the share of layers of the first model whose most similar layer is their counterpart.

    python benchmarks/which_measure.py [--sets 5] [--nets A.keras [B.keras …] --images DIR]

With `--nets`, the same for real networks, of 150 images with 4 positions each. A layer and its
counterpart are random halves of the units of one layer. Unrelated are the halves where one of them
sees other images.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tb_modelcompare.errors import RowsFewerThanUnitsWarning
from tb_modelcompare.similarity import MEASURES, compare

NAMES = (
    "unbiased_linear_cka",
    "linear_cka",
    "rbf_cka",
    "rsa_pearson",
    "rsa_spearman",
    "mutual_knn",
    "cknna",
    "procrustes",
    "svcca",
    "mean_cca",
    "pwcca_x",
    "linear_regression_y_to_x",
    "cross_validated_regression_y_to_x",
    "one_to_one_matching",
)
WIDTHS_A, WIDTHS_B = (64,) * 6, (256, 16, 128, 32, 64, 32)
CAUSES, NOISE = 8, 2.0
Model = dict[str, np.ndarray]
Data = tuple[Model, Model, np.ndarray]
Scores = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=5, help="data sets of each kind")
    parser.add_argument("--nets", nargs="+", type=Path, default=[], help="Keras models")
    parser.add_argument("--images", type=Path, help="a directory of at least 300 images")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)
    kinds: dict[str, Callable[[str], list[Scores]]] = {
        kind: lambda name, kind=kind: [simulated(kind, name, s) for s in range(arguments.sets)]
        for kind in KINDS
    }
    for net in arguments.nets:
        a, b, others, image = halves_of(net, arguments.images)
        kinds[net.stem[:14]] = lambda name, of=(a, b, others, image): [real(name, *of)]
    print(f"{'unrelated, found':36}", *(f"{kind:>16}" for kind in kinds))
    for name in NAMES:
        cells = [np.mean(scores(name), axis=0) for scores in kinds.values()]
        print(f"{name:36}", *(f"{cell[0]:8.2f} {cell[1]:6.0%} " for cell in cells), flush=True)


def many_images(random: np.random.Generator) -> Data:
    return (*models(random, np.arange(1000)), np.arange(1000))


def few_images(random: np.random.Generator) -> Data:
    return (*models(random, np.arange(60)), np.arange(60))


def positions(random: np.random.Generator) -> Data:
    image = np.repeat(np.arange(100), 4)
    return (*models(random, image), image)


def outlier(random: np.random.Generator) -> Data:
    a, b, image = (*models(random, np.arange(300)), np.arange(300))
    for model in (a, b):
        for values in model.values():
            values[0] *= 30.0
    return a, b, image


KINDS: dict[str, Callable[[np.random.Generator], Data]] = {
    "many images": many_images,
    "few images": few_images,
    "4 positions": positions,
    "an outlier": outlier,
}


def models(random: np.random.Generator, image: np.ndarray) -> tuple[Model, Model]:
    """Layers of two models; rows of one image are correlated by 0.8."""

    def rows(width: int) -> np.ndarray:
        of_images = random.standard_normal((image.max() + 1, width))[image]
        if len(set(image.tolist())) == len(image):
            return of_images
        return np.sqrt(0.8) * of_images + np.sqrt(0.2) * random.standard_normal((len(image), width))

    a, b = {}, {}
    for layer, widths in enumerate(zip(WIDTHS_A, WIDTHS_B, strict=True)):
        causes = rows(CAUSES)
        for model, width in zip((a, b), widths, strict=True):
            mixing = random.standard_normal((CAUSES, width))
            model[f"layer{layer}"] = causes @ mixing + NOISE * rows(width)
    return a, b


def simulated(kind: str, name: str, seed: int) -> Scores:
    a, b, image = KINDS[kind](np.random.default_rng(seed))
    values = alike(name, a, b, image)
    unrelated = ~np.eye(len(values), dtype=bool)
    return float(values[unrelated].mean()), found(values)


def real(name: str, a: Model, b: Model, others: Model, image: np.ndarray) -> Scores:
    unrelated = np.diagonal(alike(name, a, others, image))
    return float(unrelated.mean()), found(alike(name, a, b, image))


def alike(name: str, a: Model, b: Model, image: np.ndarray) -> np.ndarray:
    """Values, 0 for no similarity, and 1 for equal layers."""
    measure = MEASURES[name]
    options = {"groups": image} if measure.by_image else {}
    values = compare(a, b, name, constant="drop", **options).values
    return np.nan_to_num(np.clip(values, -1.0, 1.0))


def found(values: np.ndarray) -> float:
    return float(np.mean(values.argmax(axis=1) == np.arange(len(values))))


def halves_of(net: Path, images: Path) -> tuple[Model, Model, Model, np.ndarray]:
    """Two random halves of the units of every layer, the second one of other images too."""
    from tb_modelcompare import Preprocessing, Probe, SummaryWriter
    from tb_modelcompare.log.reader import open_snapshot

    count, each = 150, 4
    probe = Probe.from_directory(images, size=224, limit=2 * count, positions_per_image=each)
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(Path(folder) / "run", probe) as writer:
            writer.add_model("net", net, preprocessing=Preprocessing.tf())
        layers = dict(logged(open_snapshot(folder, "run")))
    random = np.random.default_rng(0)
    a, b, others = {}, {}, {}
    for name, values in layers.items():
        units = random.permutation(values.shape[1])
        one, other = np.array_split(units, 2)
        a[name], b[name] = values[: count * each, one], values[: count * each, other]
        others[name] = values[count * each :, other]
    return a, b, others, np.repeat(np.arange(count), each)


def logged(snapshot: object) -> Iterator[tuple[str, np.ndarray]]:
    """Layers that vary on the probe."""
    for name, values in snapshot.all_activations().items():  # type: ignore[attr-defined]
        rows = np.array(values, np.float32)
        if (rows != rows[0]).any() and rows.shape[1] > 3:
            yield name, rows


if __name__ == "__main__":
    main()

"""What intervals hold, how often, and how wide they are.

Gaussian layers of known covariance: a number of images with 2 positions each, whose rows are
correlated by a half within an image (by 0.95 where positions are alike). With heavy tails, the
rows of each image are multiplied by a random factor, so that they are of Student's distribution
with 3 degrees of freedom. The second layer of nearly equal ones differs by noise alone. With
`--large`, each image is so many times as large as others with a chance.

The interval of a debiased measure is for the value over all images. That of linear CKA is computed
from the covariances, and that of RBF CKA is the mean of four data sets of 1,000 images. The
interval of every other measure is for its mean over sets of as many images, which is estimated
from the data sets. Each cell has the share of data sets whose interval holds that value, and the
mean half-width in units of 1.96 standard deviations of the measure over data sets. A measure that
has no interval there is left out.

    OMP_NUM_THREADS=1 python benchmarks/coverage.py [--full] [--sets N] [--measure NAME …] [--large]
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass

import numpy as np

from tb_modelcompare.errors import RowsFewerThanUnitsWarning
from tb_modelcompare.similarity import MEASURES, compare

POSITIONS = 2
RESAMPLES = 20
SIZE = 60, 15  # images, units
SIZES_OF_DEBIASED = ((40, 20), (100, 300))
SIGNALS = 8
MANY = 1000


@dataclass(frozen=True)
class Case:
    """How two layers are related; `noise` is the deviation of what they do not share.

    Images are `times` as large as others with a chance of `large`.
    """

    noise: float = 1.5
    alike: float = 0.5
    freedom: float = np.inf
    equal: bool = False
    large: float = 0.0
    times: float = 1.0


CASES = {
    "unrelated": Case(noise=np.inf),
    "related": Case(),
    "heavy tails": Case(freedom=3.0),
    "weakly related": Case(noise=4.0),
    "nearly equal": Case(noise=0.5, equal=True),
    "positions alike": Case(alike=0.95),
}
OF_BIASED = ("unrelated", "related", "heavy tails")
LARGE = {
    "3 % are 4 times as large": Case(large=0.03, times=4.0),
    "10 % are 10 times as large": Case(large=0.1, times=10.0),
    "33 % are 10 times as large": Case(large=0.33, times=10.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=20, help="data sets in each cell (20)")
    parser.add_argument("--full", action="store_true", help="the same as --sets 100")
    parser.add_argument("--measure", action="append", choices=MEASURES, help="only this one")
    parser.add_argument("--large", action="store_true", help="images far larger than others")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)
    sets = 100 if arguments.full else arguments.sets
    chosen = [MEASURES[name] for name in arguments.measure or MEASURES]
    if arguments.large:
        heading(LARGE)
        for measure in chosen:
            cells = [cell(measure.name, case, *SIZE, sets) for case in LARGE.values()]
            line(f"`{measure.name}`", cells)
        return
    heading(CASES)
    for images, units in SIZES_OF_DEBIASED:
        for measure in chosen:
            if measure.debiased:
                cells = [cell(measure.name, case, images, units, sets) for case in CASES.values()]
                line(f"`{measure.name}`, {images} images, {units} units", cells)
    print()
    heading(OF_BIASED)
    for measure in chosen:
        if not measure.debiased:
            cells = [cell(measure.name, CASES[case], *SIZE, sets) for case in OF_BIASED]
            line(f"`{measure.name}`", cells)


def heading(cases: dict[str, Case] | tuple[str, ...]) -> None:
    print("| measure |", " | ".join(cases), "|")
    print("|---" * (1 + len(cases)) + "|", flush=True)


def line(name: str, cells: list[str]) -> None:
    print(f"| {name} |", " | ".join(cells), "|", flush=True)


def cell(name: str, case: Case, images: int, units: int, sets: int) -> str:
    """What the intervals of a measure hold of so many data sets."""
    mixing = np.random.default_rng(0).standard_normal((2, SIGNALS, units))
    if case.equal:
        mixing[1] = mixing[0]
    ends = []
    for seed in range(sets):
        x, y = layers(np.random.default_rng(seed), case, mixing, images)
        image = np.repeat(np.arange(images), POSITIONS)
        found = compare({"x": x}, {"y": y}, name, groups=image, resamples=RESAMPLES, seed=seed)
        ends.append([float(part[0, 0]) for part in (found.values, found.low, found.high)])
        if np.isnan(ends[0][1]):
            return "no interval"
    estimate, low, high = np.array(ends).T
    value = (
        value_over_all_images(name, mixing, case) if MEASURES[name].debiased else estimate.mean()
    )
    held = np.mean((low <= value) & (value <= high))
    width = np.mean(high - low) / 2 / (1.96 * estimate.std(ddof=1))
    return f"{held:.0%}, {width:.2f}"


def layers(
    random: np.random.Generator, case: Case, mixing: np.ndarray, images: int
) -> tuple[np.ndarray, np.ndarray]:
    """Two layers of one data set."""
    image = np.repeat(np.arange(images), POSITIONS)
    factor = np.ones(images)
    if np.isfinite(case.freedom):
        factor = np.sqrt(case.freedom / random.chisquare(case.freedom, images))
    if case.large:
        factor = np.where(random.random(images) < case.large, case.times, factor)

    def rows(width: int) -> np.ndarray:
        of_image = random.standard_normal((images, width))[image]
        own = random.standard_normal((len(image), width))
        return np.sqrt(case.alike) * of_image + np.sqrt(1.0 - case.alike) * own

    signal, units = rows(SIGNALS), mixing.shape[2]
    if np.isinf(case.noise):
        x, y = rows(units), rows(units)
    else:
        x, y = (signal @ part + case.noise * rows(units) for part in mixing)
    return x * factor[image, None], y * factor[image, None]


def value_over_all_images(name: str, mixing: np.ndarray, case: Case) -> float:
    """Linear CKA from the covariances of one row, as rows of different images are independent;
    another measure from many images."""
    if np.isinf(case.noise):
        return 0.0
    if name != "unbiased_linear_cka":
        image = np.repeat(np.arange(MANY), POSITIONS)
        values = []
        for seed in range(4):
            x, y = layers(np.random.default_rng((1, seed)), case, mixing, MANY)
            values.append(compare({"x": x}, {"y": y}, name, groups=image).values[0, 0])
        return float(np.mean(values))
    across = mixing[0].T @ mixing[1]
    own = [one.T @ one + case.noise**2 * np.eye(one.shape[1]) for one in mixing]
    return float(np.sum(across**2) / np.sqrt(np.prod([np.sum(one**2) for one in own])))


if __name__ == "__main__":
    main()

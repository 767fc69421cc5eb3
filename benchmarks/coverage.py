"""What intervals hold, how often, and how wide they are.

Gaussian layers of known covariance, a number of images with 4 positions each, whose rows are
correlated by a half within an image. Half-widths are in units of 1.96 standard deviations of the
estimate over data sets.

The interval of debiased linear CKA is for the value over all images, which is computed from the
covariances. That of every other measure is for its repeatability: "value" is then the mean of the
measure over the data sets. A measure that has no interval there is left out.

    python benchmarks/coverage.py [--full]
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

from tb_modelcompare.errors import RowsFewerThanUnitsWarning
from tb_modelcompare.similarity import MEASURES, compare

POSITIONS = 4
CASES = ("unrelated", "weakly related", "related", "strongly related")
NOISE = (np.inf, 4.0, 1.5, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="400 data sets each, and wider layers")
    full = parser.parse_args().full
    warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)
    sets, sizes = (400, ((100, 50), (100, 300), (300, 50))) if full else (40, ((60, 20),))
    print(
        f"{'measure':35}{'layers':18}{'images':>7}{'units':>7}{'value':>8}{'mean':>8}{'covered':>9}"
        f"{'width':>7}"
    )
    for images, units in sizes:
        for case, noise in zip(CASES, NOISE, strict=True):
            mixing = np.random.default_rng(0).standard_normal((2, 8, units))
            truth = value_over_all_images(mixing, noise)
            report("unbiased_linear_cka", case, mixing, noise, images, sets, 20, truth)
    few, resamples = (200, 200) if full else (24, 40)
    for name, measure in MEASURES.items():
        for images, units in sizes[:1] if measure.debiased else sizes:
            for case in () if measure.debiased else ("unrelated", "related"):
                mixing = np.random.default_rng(0).standard_normal((2, 8, units))
                report(name, case, mixing, NOISE[CASES.index(case)], images, few, resamples)


def report(
    name: str,
    case: str,
    mixing: np.ndarray,
    noise: float,
    images: int,
    sets: int,
    resamples: int,
    truth: float | None = None,
) -> None:
    """One line: what the intervals of a measure hold of so many data sets."""
    random, units = np.random.default_rng(1), mixing.shape[2]
    first = one(name, random, mixing, noise, images, resamples)
    if np.isnan(first[1]):
        return
    rest = [one(name, random, mixing, noise, images, resamples) for _ in range(sets - 1)]
    estimate, low, high = np.array([first, *rest]).T
    value = estimate.mean() if truth is None else truth
    covered = np.mean((low <= value) & (value <= high))
    width = np.mean(high - low) / 2 / (1.96 * estimate.std(ddof=1))
    print(
        f"{name:35}{case:18}{images:7}{units:7}{value:8.3f}{estimate.mean():8.3f}{covered:9.1%}"
        f"{width:7.2f}",
        flush=True,
    )


def value_over_all_images(mixing: np.ndarray, noise: float) -> float:
    """CKA of `signal @ mixing + noise`, from covariances between the two and of each."""
    if np.isinf(noise):
        return 0.0
    across = mixing[0].T @ mixing[1]
    own = [one.T @ one + noise**2 * np.eye(one.shape[1]) for one in mixing]
    # Rows of different images are independent, so that the covariance of one row decides.
    return float(np.sum(across**2) / np.sqrt(np.prod([np.sum(one**2) for one in own])))


def one(
    name: str,
    random: np.random.Generator,
    mixing: np.ndarray,
    noise: float,
    images: int,
    resamples: int,
) -> list[float]:
    """Estimate and interval of one data set."""
    image = np.repeat(np.arange(images), POSITIONS)

    def rows(width: int) -> np.ndarray:
        """Of variance one, correlated by a half within images."""
        both = (
            random.standard_normal((images, width))[image],
            random.standard_normal((len(image), width)),
        )
        return (both[0] + both[1]) / np.sqrt(2.0)

    signal, units = rows(mixing.shape[1]), mixing.shape[2]
    if np.isinf(noise):
        x, y = rows(units), rows(units)
    else:
        x, y = (signal @ part + noise * rows(units) for part in mixing)
    seed = int(random.integers(2**31))
    found = compare({"x": x}, {"y": y}, name, groups=image, resamples=resamples, seed=seed)
    return [float(part[0, 0]) for part in (found.values, found.low, found.high)]


if __name__ == "__main__":
    main()

"""How often intervals of debiased linear CKA hold the value over all images, and how wide they are.

Gaussian layers of known covariance, a number of images with 4 positions each, whose rows are
correlated by a half within an image. The value over all images is computed from the covariances.
Half-widths are in units of 1.96 standard deviations of the estimate over data sets.

    python benchmarks/coverage.py [--full]
"""

from __future__ import annotations

import argparse

import numpy as np

from tb_modelcompare.similarity import compare

POSITIONS = 4
CASES = ("unrelated", "weakly related", "related", "strongly related")
NOISE = (np.inf, 4.0, 1.5, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="400 data sets each, and wider layers")
    full = parser.parse_args().full
    sets, sizes = (400, ((100, 50), (100, 300), (300, 50))) if full else (40, ((60, 20),))
    print(
        f"{'layers':18}{'images':>7}{'units':>7}{'value':>8}{'mean':>8}{'covered':>9}{'width':>7}"
    )
    for images, units in sizes:
        for case, noise in zip(CASES, NOISE, strict=True):
            random = np.random.default_rng(0)
            mixing = random.standard_normal((2, 8, units))
            truth = value_over_all_images(mixing, noise)
            found = np.array([one(random, mixing, noise, images) for _ in range(sets)])
            estimate, low, high = found.T
            covered = np.mean((low <= truth) & (truth <= high))
            width = np.mean(high - low) / 2 / (1.96 * estimate.std(ddof=1))
            print(
                f"{case:18}{images:7}{units:7}{truth:8.3f}{estimate.mean():8.3f}"
                f"{covered:9.1%}{width:7.2f}"
            )


def value_over_all_images(mixing: np.ndarray, noise: float) -> float:
    """CKA of `signal @ mixing + noise`, from covariances between the two and of each."""
    if np.isinf(noise):
        return 0.0
    across = mixing[0].T @ mixing[1]
    own = [one.T @ one + noise**2 * np.eye(one.shape[1]) for one in mixing]
    # Rows of different images are independent, so that the covariance of one row decides.
    return float(np.sum(across**2) / np.sqrt(np.prod([np.sum(one**2) for one in own])))


def one(random: np.random.Generator, mixing: np.ndarray, noise: float, images: int) -> list[float]:
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
    found = compare({"x": x}, {"y": y}, "unbiased_linear_cka", groups=image, resamples=20)
    return [float(part[0, 0]) for part in (found.values, found.low, found.high)]


if __name__ == "__main__":
    main()

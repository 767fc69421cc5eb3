"""Sums over whole images that come in batches, for debiased linear CKA over different images.

With z = x - shift, the mean s of an image and τ = z·s of each of its rows, a row weighs one over
the rows of its image and has the line `[1, τ, z]`, and an image has the line `[1, |s|², s]`. Sums
of products of the lines of two layers, and of what the rows of each image have with each other,
hold all that the estimator of `hsic_of_images` needs. A move of the shift is exact on them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Matrix
from tb_modelcompare.similarity.block_sums import LEAST_IMAGES, falling
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.hsic import LEAST_REMAINING, Hsic, ratio_of, require_variation
from tb_modelcompare.similarity.images import Images
from tb_modelcompare.similarity.labelled import labelled
from tb_modelcompare.similarity.moments import squared_norm
from tb_modelcompare.similarity.registry import Measure


def moved(sums: Matrix, delta: Matrix) -> Matrix:
    """Sums `[1, |z|², z]' M` after z becomes z + delta."""
    found = sums.copy()
    found[2:] += np.outer(delta, sums[0])
    found[1] += 2.0 * (delta @ sums[2:]) + (delta @ delta) * sums[0]
    return found


@dataclass(frozen=True, eq=False)
class PairSums:
    """Of a layer of `d1` units and one of `d2`.

    Attributes
    ----------
    rows, means : array (d1 + 2, d2 + 2)
        Products of the lines of rows, and of images.
    within : float
        Sum over images of the squared norm of their part of `Σ w x y'`.
    """

    rows: Matrix
    means: Matrix
    within: float

    @property
    def transposed(self) -> PairSums:
        return PairSums(self.rows.T, self.means.T, self.within)

    def moved(self, left: Matrix, right: Matrix) -> PairSums:
        """After z of the one layer becomes z + left, and of the other z + right."""
        return self._left_moved(left).transposed._left_moved(right).transposed

    def _left_moved(self, delta: Matrix) -> PairSums:
        square = float(delta @ delta)
        rows = self.rows.copy()
        rows[1] += delta @ (self.rows[2:] + self.means[2:]) + square * self.rows[0]
        rows[2:] += np.outer(delta, self.rows[0])
        towards, images = float(delta @ self.rows[2:, 1]), float(self.means[0, 1])
        within = self.within + 2.0 * towards + square * images
        return PairSums(rows, moved(self.means, delta), within)

    def plus(self, other: PairSums) -> PairSums:
        return PairSums(
            self.rows + other.rows, self.means + other.means, self.within + other.within
        )

    def hsic(self) -> tuple[float, float]:
        """HSIC of centred sums, and the largest term of it."""
        images = float(self.means[0, 0])
        pairs, triples, quadruples = falling(round(images))
        rows, means = self.rows[2:, 2:], self.means[2:, 2:]
        square, of_means = squared_norm(rows), squared_norm(means)
        product, towards = float(self.means[1, 1]), float(self.rows[1, 1])
        totals = float(self.means[0, 1] * self.means[1, 0])
        terms = (
            square / pairs,
            -self.within / pairs,
            (totals - 6.0 * product + 2.0 * of_means) / quadruples,
            (2.0 * float(np.vdot(rows, means)) - 4.0 * towards) / triples,
        )
        return sum(terms), max(map(abs, terms))


@dataclass(frozen=True, eq=False)
class Lines:
    """Of all layers of one model side by side: lines of the rows and of the images of a batch,
    and the products of the rows of each image, (layers, numbers)."""

    rows: Matrix
    means: Matrix
    grams: Matrix


def lines_of_images(plain: Matrix, columns: Sequence[slice], images: Images) -> Lines:
    """From the lines `[1, |z|², z]` of rows."""
    every = slice(0, images.count)
    root = images.root_weights(every)
    ordered = plain[images.order]
    means = images.means(ordered, every)
    grams = []
    for of_layer in columns:
        z, s = ordered[:, of_layer][:, 2:], means[:, of_layer][:, 2:]
        means[:, of_layer.start + 1] = np.einsum("ij,ij->i", s, s)
        ordered[:, of_layer.start + 1] = np.einsum("ij,ij->i", z, images.repeated(s, every))
        weighted = z * root[:, None]
        parts = [weighted[a:b] @ weighted[a:b].T for a, b in itertools.pairwise(images.edges)]
        grams.append(np.concatenate([part.ravel() for part in parts]))
    return Lines(ordered * root[:, None], means, np.stack(grams))


class ImageSums:
    """The sums of each layer of one model with itself, and with each of another.

    Parameters
    ----------
    left, right : sequence of slice
        Columns of each layer among the lines of its model. Right is None where there is one model.
    """

    def __init__(self, left: Sequence[slice], right: Sequence[slice] | None) -> None:
        self.columns = tuple(list(one) for one in (left, right) if one is not None)
        self.own = [[_zeros(one, one) for one in side] for side in self.columns]
        self.cross = [[_zeros(one, other) for other in self.columns[-1]] for one in left]
        self.seen: set[object] = set()

    def add(self, sides: Sequence[Lines], called: set[object]) -> None:
        """Add a batch: the lines of each model, and what its images are called."""
        for side, (lines, columns) in enumerate(zip(sides, self.columns, strict=True)):
            squares = products.squared_lengths(lines.grams)
            self.own[side] = [
                sums.plus(_products(lines, lines, one, one, float(square)))
                for sums, one, square in zip(self.own[side], columns, squares, strict=True)
            ]
        left, right = sides[0], sides[-1]
        within = products.spread_inner_products(left.grams, right.grams)
        for i, one in enumerate(self.columns[0]):
            for j, other in enumerate(self.columns[-1]):
                added = _products(left, right, one, other, float(within[i, j]))
                self.cross[i][j] = self.cross[i][j].plus(added)
        self.seen |= called

    def merge(self, other: ImageSums, moves: Sequence[Sequence[Matrix]]) -> None:
        """Add other sums, whose z become z + what is in `moves` for each layer of each model."""
        refuse_cut_images(self.seen & other.seen)
        self.own = [
            [a.plus(b.moved(move, move)) for a, b, move in zip(mine, its, by, strict=True)]
            for mine, its, by in zip(self.own, other.own, moves, strict=True)
        ]
        self.cross = [
            [a.plus(b.moved(left, right)) for a, b, right in zip(mine, its, moves[-1], strict=True)]
            for mine, its, left in zip(self.cross, other.cross, moves[0], strict=True)
        ]
        self.seen |= other.seen

    def compare(self, measure: Measure, names: Sequence[tuple[str, ...]]) -> Comparison:
        """Debiased linear CKA over different images, of layers of these names of each model.

        Raises
        ------
        ActivationError
            If there are too few images, if a layer does not vary, or if no pair has a value.
        """
        images = int(self.own[0][0].means[0, 0])
        if images < LEAST_IMAGES:
            raise ActivationError(
                f"The rows are of {images} image(s); debiased CKA needs at least {LEAST_IMAGES}."
            )
        centres = [[-sums.means[2:, 0] / sums.means[0, 0] for sums in side] for side in self.own]
        own, lost = [], []
        for side, by, called in zip(self.own, centres, names, strict=True):
            values = np.empty(len(side))
            for index, (sums, centre) in enumerate(zip(side, by, strict=True)):
                value, largest = sums.moved(centre, centre).hsic()
                if largest == 0.0:
                    require_variation(called[index], int(sums.means[0, 0]), 0.0, unbiased=True)
                held = abs(value) >= LEAST_REMAINING[np.dtype(np.float64)] * largest
                values[index] = value if held else np.nan
                lost += [] if held else [called[index]]
            own.append(values)
        cross = [
            [sums.moved(x, y).hsic()[0] for sums, y in zip(line, centres[-1], strict=True)]
            for line, x in zip(self.cross, centres[0], strict=True)
        ]
        found = ratio_of(Hsic(np.array(cross), own[0], own[-1]))
        if len(own) == 1:
            np.fill_diagonal(found, np.where(np.isnan(found.diagonal()), np.nan, 1.0))
        notes = (
            f"Sums over batches hold too little of {', '.join(dict.fromkeys(lost))}: a few images "
            "may be so far from all others that these are lost. compare reads rows again, and "
            "tells.",
        )
        return labelled(measure, found, names[0], names[-1], notes if lost else ())


def _zeros(left: slice, right: slice) -> PairSums:
    shape = (left.stop - left.start, right.stop - right.start)
    return PairSums(np.zeros(shape), np.zeros(shape), 0.0)


def _products(left: Lines, right: Lines, one: slice, other: slice, within: float) -> PairSums:
    return PairSums(
        left.rows[:, one].T @ right.rows[:, other],
        left.means[:, one].T @ right.means[:, other],
        within,
    )


def images_of_batch(
    groups: npt.ArrayLike, rows: int, seen: set[object]
) -> tuple[Images, set[object]]:
    """The images of a batch, and what they are called.

    Raises
    ------
    ActivationError
        If there is not one label for each row, or if an image was in a batch before.
    """
    labels = np.asarray(groups)
    if labels.shape != (rows,):
        raise ActivationError(
            f"groups has shape {labels.shape}; it names the image of each of the {rows} rows of "
            "the batch."
        )
    names, image = np.unique(labels, return_inverse=True)
    called = set(names.tolist())
    refuse_cut_images(called & seen)
    return Images.of(image.reshape(rows)), called


def refuse_cut_images(twice: set[object]) -> None:
    """Refuse images that have rows in two batches.

    Raises
    ------
    ActivationError
    """
    if twice:
        raise ActivationError(
            f"{len(twice)} image(s), {min(map(str, twice))!r} among them, have rows in two "
            "batches, and pairs of rows of one image must not count. Put all rows of an image into "
            "one batch, and call no two images the same."
        )

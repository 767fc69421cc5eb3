"""Rows as what they are: positions of images, of which those of one image resemble each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.similarity.activations import Array, Layer, Matrix, row_blocks

Indices: TypeAlias = npt.NDArray[np.intp]

ROWS = "rows"
"""In place of groups: every row is an image of its own."""


def image_indices(groups: npt.ArrayLike | None, rows: int) -> Indices:
    """Image of each row, numbered from 0; each row its own where groups are None or "rows".

    Raises
    ------
    ActivationError
        If there is not one label for each row.
    """
    if groups is None or (isinstance(groups, str) and groups == ROWS):
        return np.arange(rows)
    labels = np.asarray(groups)
    if labels.shape != (rows,):
        raise ActivationError(
            f"groups has shape {labels.shape}; it names the image of each of the {rows} rows. "
            'Where every row is an image of its own, give groups="rows".'
        )
    try:
        return np.unique(labels, return_inverse=True)[1].astype(np.intp).reshape(rows)
    except TypeError as error:  # labels of several types, or None
        raise ActivationError(
            f"groups holds labels that cannot be told apart by their order ({error}). Give the "
            "image of each row as a whole number or a name."
        ) from error


def require_images(groups: npt.ArrayLike | None) -> None:
    """Refuse to permute or resample rows whose images are not said.

    Raises
    ------
    OptionError
    """
    if groups is None:
        raise OptionError(
            "Permuting and resampling are of whole images, as the positions of one image are not "
            'independent. Give groups, the image of each row, or groups="rows" where every row is '
            "an image of its own."
        )


def all_different(image: Indices) -> bool:
    """Whether every row is an image of its own."""
    return int(image.max()) + 1 == len(image)


@dataclass(frozen=True, eq=False)
class Images:
    """Which rows are of which image, in an order in which the rows of an image are together.

    Every image weighs the same: a row of an image of k rows weighs 1 / k.

    Attributes
    ----------
    order : array (rows,)
        Rows, image by image.
    edges : array (images + 1,)
        Where each image begins in that order, and where the last one ends.
    """

    order: Indices
    edges: Indices

    @classmethod
    def of(cls, image: Indices, seed: int | None = None) -> Images:
        """The images of rows, given the number of each row's image, from 0 on.

        With a seed, images come in a random order, so that neighbours have nothing in common.
        """
        sizes = np.bincount(image)
        rank = np.arange(len(sizes))
        if seed is not None:
            rank = np.random.default_rng(seed).permutation(len(sizes))
        ordered = np.empty_like(sizes)
        ordered[rank] = sizes
        edges = np.concatenate([[0], np.cumsum(ordered)]).astype(np.intp)
        return cls(np.argsort(rank[image], kind="stable"), edges)

    @property
    def count(self) -> int:
        return len(self.edges) - 1

    @property
    def sizes(self) -> Indices:
        return np.diff(self.edges)

    @property
    def are_rows(self) -> bool:
        """Whether every row is an image of its own."""
        return self.count == len(self.order)

    def around(self, rows: slice) -> slice:
        """The images that rows of the order belong to."""
        first = int(np.searchsorted(self.edges, rows.start, side="right")) - 1
        return slice(first, int(np.searchsorted(self.edges, rows.stop, side="left")))

    def rows_of(self, images: slice) -> slice | Indices:
        """Rows of whole images as they are numbered in the layer; a slice where one will do."""
        rows = self.order[self.edges[images.start] : self.edges[images.stop]]
        in_turn = len(rows) == rows[-1] - rows[0] + 1 and bool((np.diff(rows) == 1).all())
        return slice(int(rows[0]), int(rows[-1]) + 1) if in_turn else rows

    def means(self, block: Array, images: slice) -> Array:
        """Mean over each image of a block of rows of these images, (images, units)."""
        starts = self.edges[images] - self.edges[images.start]
        sizes = self.sizes[images].astype(block.dtype)
        return np.asarray(np.add.reduceat(block, starts, axis=0) / sizes[:, None])

    def repeated(self, of_images: Array, images: slice) -> Array:
        """What each image has, for each of its rows."""
        return np.repeat(of_images, self.sizes[images], axis=0)

    def root_weights(self, images: slice, dtype: npt.DTypeLike = np.float64) -> Array:
        """Root of the weight of each row of some images, (rows,)."""
        sizes = self.sizes[images]
        return np.repeat((1.0 / np.sqrt(sizes)).astype(dtype), sizes)


@dataclass(frozen=True, eq=False)
class LayerOfImages(Layer):
    """A layer whose rows come image by image, centred about the mean of the means of images.

    Attributes
    ----------
    images : Images
    centre : array (units,)
        That mean, centred by the mean over rows, and scaled.
    blend : float
        Row i is `sqrt(weight) (x_i + blend · mean of its image)`.
    """

    images: Images
    centre: Matrix
    blend: float = 0.0

    @classmethod
    def of(cls, layer: Layer, images: Images, blend: float = 0.0) -> LayerOfImages:
        centre = np.zeros(layer.units)
        if len(set(images.sizes.tolist())) > 1:
            for some in _blocks_of_images(images):
                block = layer.centred(images.rows_of(some))
                centre += images.means(block, some).sum(axis=0) / images.count
        return cls(**vars(layer), images=images, centre=centre, blend=blend)

    def whole_images(self, images: slice, dtype: npt.DTypeLike = np.float64) -> Array:
        """Centred rows of whole images, neither weighted nor blended."""
        block = super().centred(self.images.rows_of(images), dtype)
        if self.centre.any():
            block = block - self.centre.astype(block.dtype)
        return block

    def centred(
        self,
        rows: slice | Indices,
        dtype: npt.DTypeLike = np.float64,
        out: Array | None = None,
    ) -> Array:
        """Weighted and blended rows, by their numbers in the order of images."""
        if not isinstance(rows, slice):
            raise TypeError("rows of images are read in turn")
        some = self.images.around(rows)
        block = self.whole_images(some, dtype)
        if self.blend:
            means = self.images.means(block, some)
            block = block + np.asarray(self.blend, block.dtype) * self.images.repeated(means, some)
        block = block * self.images.root_weights(some, block.dtype)[:, None]
        start = rows.start - int(self.images.edges[some.start])
        found = block[start : start + rows.stop - rows.start]
        if out is None:
            return found
        out[:] = found
        return out


@dataclass(frozen=True, eq=False)
class MeansOfImages(LayerOfImages):
    """A layer whose rows are the means of images, centred."""

    @property
    def rows(self) -> int:
        return self.images.count

    def centred(
        self,
        rows: slice | Indices,
        dtype: npt.DTypeLike = np.float64,
        out: Array | None = None,
    ) -> Array:
        """Means of some images."""
        if not isinstance(rows, slice):
            raise TypeError("means of images are read in turn")
        found = self.images.means(self.whole_images(rows, dtype), rows)
        if out is None:
            return found
        out[:] = found
        return out


def _blocks_of_images(images: Images) -> list[slice]:
    return list(row_blocks(images.count))

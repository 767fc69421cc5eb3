"""Debiased CKA over minibatches."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, OptionError, UndefinedLayerError
from tb_modelcompare.errors.checks import number, one_of
from tb_modelcompare.similarity.activations import (
    NEAR_ONE,
    Array,
    Layer,
    Matrix,
    check_activations,
    check_model,
    require_same_rows,
)
from tb_modelcompare.similarity.block_sums import LEAST_IMAGES
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.hsic import Hsic, kernel_hsic, ratio_of, unbiased_of
from tb_modelcompare.similarity.hsic_of_images import hsic_of_images
from tb_modelcompare.similarity.images import Images, image_indices
from tb_modelcompare.similarity.inputs import open_layers
from tb_modelcompare.similarity.labelled import labelled
from tb_modelcompare.similarity.measures.cka import UNBIASED_LINEAR_CKA
from tb_modelcompare.similarity.measures.rbf import BANDWIDTH, UNBIASED_RBF_CKA
from tb_modelcompare.similarity.products import spread_inner_products, squared_lengths
from tb_modelcompare.similarity.rbf_of_images import (
    NO_WIDTH,
    median_of_images,
    pairs_of_images,
    squares_of_images,
    vector_of_images,
)
from tb_modelcompare.similarity.settings import MEMORY, Precision, Settings
from tb_modelcompare.similarity.threads import spread

LARGE_MEAN = 100.0
"""Means this much larger than deviations leave 1e-5 of a deviation behind in float32, whose
square is what counts."""


Exponents = npt.NDArray[np.int_]
"""Of each layer of a model, the power of 2 that its values are multiplied by."""


@dataclass(frozen=True, eq=False)
class _Batch:
    """Unbiased HSIC of a batch, times rows (rows - 3), in these scales of both models' layers."""

    rows: int
    hsic: Hsic
    exponents: tuple[Exponents, Exponents]


class MinibatchCKA:
    """Debiased CKA from the mean of unbiased HSIC over minibatches.

    The estimator of Nguyen et al. 2021: memory is one number per pair of layers. It depends on
    how rows are batched, at random alone. `MomentStream` is exact instead, at the price
    of covariances.

    A batch of n rows counts n (n - 3) times. That is one over the variance that noise gives the
    unbiased HSIC of n rows, up to a factor, so that a short last batch does no harm. Batches of
    one size count alike.

    Parameters
    ----------
    precision : {"auto", "single", "double"}
        Of the large products, as of `compare`. Those of "rbf" are always in float64.
    kernel : {"linear", "rbf"}
        "rbf" is the Gaussian kernel of `unbiased_rbf_cka`. The width of each layer's kernel is
        that of the first batch.
    bandwidth : float
        Of "rbf": the width, in medians of the distances of rows of different images.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).standard_normal((100, 4))
    >>> stream = MinibatchCKA()
    >>> for batch in np.array_split(rows, 5):
    ...     stream.update({"layer": batch}, {"twice": 2 * batch})
    >>> stream.compare().values.round(6)
    array([[1.]])
    """

    def __init__(
        self,
        precision: Precision = "auto",
        *,
        kernel: Literal["linear", "rbf"] = "linear",
        bandwidth: float = BANDWIDTH,
    ) -> None:
        if one_of("kernel", kernel, ("linear", "rbf")) == "linear" and bandwidth != BANDWIDTH:
            raise OptionError('bandwidth is of the kernel "rbf"; a linear one has none.')
        bandwidth = number("bandwidth", bandwidth, above=0.0, most=1e6)
        self._bandwidth = bandwidth if kernel == "rbf" else None
        # Of each layer of both models: the median squared distance, None where it is 0, and the
        # scale that it is in.
        self._medians: list[tuple[float | None, int]] | None = None
        self._settings = Settings(precision, MEMORY, None, None)
        self._names: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._sums: tuple[Matrix, Matrix, Matrix] | None = None
        self._grouped: bool | None = None
        self._rows = 0
        # Of each layer of both models: the scale that the sums are in.
        self._exponents: tuple[Exponents, Exponents] | None = None

    def update(
        self,
        a: Mapping[str, Any],
        b: Mapping[str, Any] | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> None:
        """Add a batch of at least 4 rows. Without b, a is compared with itself.

        Parameters
        ----------
        a, b : mapping of str to array (rows, units)
            The layers of the two models on the rows of this batch.
        groups : array (rows,), optional
            Image of each row, where images have several. A batch then holds all rows of at least
            4 images, and counts by its images. Either all batches have it or none.

        Raises
        ------
        ActivationError
            If a layer cannot be used, if the batch has fewer than 4 rows or images, or if
            it does not fit the batches before. What was added before then stays as it was.
        """
        check_model(a, "the first model")
        second = None if b is a else b
        if second is not None:
            check_model(second, "the second model")
        names = (tuple(a), tuple(a if second is None else second))
        if self._names not in (None, names):
            raise ActivationError("Every batch must hold the same layers in the same order.")
        if self._grouped not in (None, groups is not None):
            raise ActivationError("Give groups with every batch, or with none.")
        batch = (
            self._fast(a, second) or self._safe(a, second, None)
            if groups is None and self._bandwidth is None
            else self._safe(a, second, groups)
        )
        exponents = self._exponents or batch.exponents
        # What a squared unit of the batch's scale is worth in that of the sums.
        with np.errstate(over="ignore"):
            x, y = (
                np.ldexp(1.0, 2 * (kept - new))
                for kept, new in zip(exponents, batch.exponents, strict=True)
            )
            hsic = batch.hsic
            added = (hsic.cross * np.outer(x, y), hsic.own_x * x**2, hsic.own_y * y**2)
            old = self._sums or tuple(np.zeros_like(part) for part in added)
            sums = (old[0] + added[0], old[1] + added[1], old[2] + added[2])
        if not all(np.isfinite(part).all() for part in sums):
            raise ActivationError(
                "Values of this batch are so much larger than those of the batches before that "
                "their sums leave the range of float64. Look for an overflow in the model."
            )
        self._names, self._exponents, self._sums = names, exponents, sums
        self._grouped = groups is not None
        self._rows += batch.rows

    def _fast(self, a: Mapping[str, Any], b: Mapping[str, Any] | None) -> _Batch | None:
        """From float32 Gram matrices; None where these would be too inexact or too large."""
        arrays = [
            check_activations(values, name) for name, values in (*a.items(), *(b or {}).items())
        ]
        rows = len(arrays[0]) if arrays else 0
        cheap = rows**2 * len(arrays) * 4 <= self._settings.memory
        narrow = all(one.dtype == np.float32 and len(one) == rows for one in arrays)
        if rows < 4 or not (cheap and narrow) or self._settings.precision == "double":
            return None
        grams, energies = _centred_grams(arrays)
        variance = energies.mean(axis=1) / [one.shape[1] for one in arrays]
        if not ((variance > NEAR_ONE[0] ** 2) & (variance < NEAR_ONE[1] ** 2)).all():
            return None
        squares = spread_inner_products(grams, grams)
        own, x, y = squares.diagonal(), slice(len(a)), slice(0 if b is None else len(a), None)
        hsic = unbiased_of(squares[x, y], (own[x], own[y]), (energies[x], energies[y]))
        if not hsic.is_exact(np.float32):
            return None
        unscaled = (np.zeros(len(hsic.own_x), int), np.zeros(len(hsic.own_y), int))
        return _Batch(rows, hsic, unscaled)

    def _safe(
        self, a: Mapping[str, Any], b: Mapping[str, Any] | None, groups: npt.ArrayLike | None
    ) -> _Batch:
        """In float64, each layer scaled, after every check."""
        xs = open_layers(a, "the first model")
        ys = xs if b is None else open_layers(b, "the second model")
        for layer in (*xs, *ys):
            require_same_rows(xs[0], layer)
        rows = xs[0].rows
        if rows < 4:
            raise ActivationError(
                f"A batch has {rows} row(s), and unbiased HSIC needs at least 4. Leave a shorter "
                "last batch out, or join it with the one before."
            )
        settings = replace(self._settings, precision="double")
        if groups is None and self._bandwidth is None:
            hsic = kernel_hsic(0.0, xs, ys, settings)
        else:
            images = Images.of(image_indices(groups, rows))
            if images.count < LEAST_IMAGES:
                raise ActivationError(
                    f"A batch has rows of {images.count} image(s), and debiased HSIC needs at "
                    f"least {LEAST_IMAGES}. Put more images into a batch."
                )
            if self._bandwidth is None:
                found = hsic_of_images(xs, ys, images, settings)
            else:
                found = self._of_rbf(xs, ys, images, self._bandwidth)
            times = float(images.count * (images.count - 3))
            hsic = Hsic(found.cross * times, found.own_x * times, found.own_y * times)
        linear = self._bandwidth is None  # a kernel of distances has no scale
        exponents = [np.array([layer.exponent * linear for layer in side]) for side in (xs, ys)]
        return _Batch(rows, hsic, (exponents[0], exponents[1]))

    def _of_rbf(self, xs: list[Layer], ys: list[Layer], images: Images, bandwidth: float) -> Hsic:
        """With the widths of the first batch, which this one may be."""
        layers = xs if ys is xs else [*xs, *ys]
        squares = [squares_of_images(layer, images) for layer in layers]
        medians = self._medians or [
            (_median_or_none(layer, some, images), layer.exponent)
            for layer, some in zip(layers, squares, strict=True)
        ]
        vectors = np.zeros((len(layers), pairs_of_images(images)))
        for vector, layer, some, (median, exponent) in zip(
            vectors, layers, squares, medians, strict=True
        ):
            if median is not None:
                scale = np.ldexp(2.0 * bandwidth**2 * median, 2 * (layer.exponent - exponent))
                vector[:] = vector_of_images(some, images, float(scale))
        cross = spread_inner_products(vectors[: len(xs)], vectors[-len(ys) :])
        own = squared_lengths(vectors)
        self._medians = medians
        pairs = images.count * (images.count - 1) / 2.0
        return Hsic(cross / pairs, own[: len(xs)] / pairs, own[-len(ys) :] / pairs)

    def compare(self) -> Comparison:
        """CKA of all pairs of layers.

        Returns
        -------
        Comparison
            NaN, and a note in `warnings`, for a layer whose own debiased HSIC is not positive, and
            for one that has no width of the kernel "rbf": half of the pairs of its rows in the
            first batch are equal.

        Raises
        ------
        ActivationError
            If nothing was added, or there is no value of any pair.
        """
        if self._sums is None or self._names is None:
            raise ActivationError("No batch was added yet.")
        cross, own_x, own_y = self._sums
        kind = UNBIASED_LINEAR_CKA if self._bandwidth is None else UNBIASED_RBF_CKA
        ratio = ratio_of(Hsic(cross, own_x, own_y))
        layers = (name for side in self._names for name in side)
        undefined = {
            name: f"in the first batch, {NO_WIDTH}"
            for name, (median, _) in zip(layers, self._medians or (), strict=False)
            if median is None
        }
        found = labelled(kind, ratio, *self._names, undefined=undefined)
        return replace(found, measure="minibatch_cka" if self._bandwidth is None else kind.name)


def _median_or_none(layer: Layer, squares: Matrix, images: Images) -> float | None:
    """The median squared distance, None where it is 0."""
    try:
        return median_of_images(layer.name, squares, images)
    except UndefinedLayerError:
        return None


def _centred_grams(arrays: Sequence[Array]) -> tuple[Array, Matrix]:
    """Gram matrices of centred rows, (layers, rows * rows), and their diagonals.

    The mean is taken off twice where it is large: what rounding leaves of it then goes, too.
    One buffer serves all layers of a thread: it stays in the processor's cache.
    """
    rows = len(arrays[0])
    share = np.full(rows, 1.0 / rows, np.float32)
    grams = np.empty((len(arrays), rows, rows), np.float32)
    largest = max(one.size for one in arrays)
    of_thread = threading.local()

    def fill(index: int) -> None:
        if not hasattr(of_thread, "buffer"):
            of_thread.buffer = np.empty(largest, np.float32)
        values = arrays[index]
        centred = of_thread.buffer[: values.size].reshape(values.shape)
        mean = share @ values
        np.subtract(values, mean, out=centred)
        np.matmul(centred, centred.T, out=grams[index])
        if mean @ mean * rows > LARGE_MEAN**2 * np.trace(grams[index]):
            centred -= share @ centred
            np.matmul(centred, centred.T, out=grams[index])

    spread(fill, range(len(arrays)), cost=lambda index: arrays[index].shape[1])
    energies = np.diagonal(grams, axis1=1, axis2=2).astype(np.float64)
    return grams.reshape(len(arrays), -1), energies

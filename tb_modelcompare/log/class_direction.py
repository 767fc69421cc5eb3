"""The direction of a class in a layer, from the labels of the probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ProbeError

if TYPE_CHECKING:
    from tb_modelcompare.log.layer import Layer

Matrix = npt.NDArray[np.float64]

_RIDGE = 1e-3


def class_weights(layer: Layer, class_: str | int, whitened: bool) -> tuple[Matrix, str]:
    """The weights of `Layer.direction`, and what the class is called.

    Raises
    ------
    ProbeError
        If the probe has no labels, no such class, or no image of another.
    """
    labels = layer.snapshot.labels()
    if labels is None:
        raise ProbeError(
            f"the probe of {layer.snapshot.id} has no labels, so it has no directions of classes; "
            f"log again with Probe(labels=…) or --labels"
        )
    number = labels.number_of(class_)
    ours = labels.classes == number
    if ours.all():
        raise ProbeError(f"all images are of class {class_!r}; a direction needs others")
    of_images = _means_of_images(layer)
    difference = of_images[ours].mean(axis=0) - of_images[~ours].mean(axis=0)
    if whitened:
        centred = of_images - of_images.mean(axis=0)
        difference = _solved(centred.T @ centred / len(centred), difference)
    return difference, labels.called(number)


def _means_of_images(layer: Layer) -> Matrix:
    """The mean of the rows of each image, (images, units)."""
    rows = layer.activations().astype(np.float64)
    begins = np.flatnonzero(np.diff(layer.snapshot.image_of_row(), prepend=-1))
    counts = np.diff(begins, append=len(rows))
    return np.asarray(np.add.reduceat(rows, begins, axis=0) / counts[:, None])


def _solved(covariance: Matrix, difference: Matrix) -> Matrix:
    import scipy.linalg  # takes a while to import

    level = float(np.trace(covariance)) / len(covariance)
    if level == 0.0:  # a constant layer, in which no class differs
        return difference
    ridge = _RIDGE * level * np.eye(len(covariance))
    return np.asarray(scipy.linalg.solve(covariance + ridge, difference, assume_a="pos"))

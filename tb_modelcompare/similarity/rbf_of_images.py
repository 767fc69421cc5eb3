"""HSIC with Gaussian kernels over pairs of different images, as an inner product of vectors.

The estimator is that of `hsic_of_images`: the U-statistic over tuples of different images, each of
which weighs the same. With m images and a row i of image g of weight w_i, let a_gh be the weighted
mean of the kernel between images g and h, and K_ij = a_gh + u_ih + u_jg + e_ij. The terms of the
U-statistic do not mix these three parts. Of a, it is the inner product of U-centred matrices
(Székely and Rizzo 2014) over m (m - 3). Of u it is that of u less its mean over the other images,
times 2 (m - 1) / (m (m - 1) (m - 2)). Of e it is the plain one over m (m - 1). So with

    V_ij = e_ij + sqrt((m - 1) / (m - 2)) (ũ_ih + ũ_jg) + sqrt((m - 1) / (m - 3)) ã_gh

the HSIC is the weighted inner product of V of the two layers, over m (m - 1). That of a layer with
itself is never negative.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tb_modelcompare.errors import UndefinedLayerError
from tb_modelcompare.similarity.activations import Layer, Matrix
from tb_modelcompare.similarity.distances import points_of, squared_distances, varying_values
from tb_modelcompare.similarity.images import Images, Indices

NO_WIDTH = (
    "half or more of the pairs of its rows are equal, so the median distance is 0, and so is the "
    "kernel's width. Use a probe on which the layer responds."
)
LEAST_LEFT = 1e-12
"""Where less of a kernel's norm is left, it is rounding."""


def squares_of_images(layer: Layer, images: Images) -> Matrix:
    """Squared distances of rows, image by image, (rows, rows), in the layer's scale."""
    points = points_of(varying_values(replace(layer, values=layer.values[images.order])))
    squares = np.zeros((layer.rows, layer.rows))
    above = np.triu_indices(layer.rows, 1)
    squares[above] = squared_distances(points)
    squares += squares.T
    return squares


def median_of_images(name: str, squares: Matrix, images: Images) -> float:
    """Median squared distance of rows of different images.

    Raises
    ------
    UndefinedLayerError
        If it is 0.
    """
    image = np.repeat(np.arange(images.count), images.sizes)
    return median_square(name, squares[image[:, None] < image])


def median_square(name: str, squares: Matrix) -> float:
    """Median of squared distances of pairs of rows, which the kernel's width is made of.

    Raises
    ------
    UndefinedLayerError
        If it is 0.
    """
    median = float(np.median(squares))
    if median == 0.0:
        raise UndefinedLayerError(name, NO_WIDTH)
    return median


def vector_of_images(squares: Matrix, images: Images, scale: float) -> Matrix:
    """V of the kernel exp(-squares / scale) for rows i < j of different images, weighted.

    The inner product of two of them, twice, over m (m - 1), is the HSIC. `squares` is overwritten.
    A vector of which nothing but rounding is left is 0.
    """
    m, starts = images.count, images.edges[:-1]
    number = np.repeat(np.arange(m), images.sizes)
    root = images.root_weights(slice(0, m))
    weights = np.square(root)
    with np.errstate(over="ignore"):  # the kernel of rows that are far apart is 0
        squares /= -scale
    kernel = np.expm1(squares, out=squares)  # a constant changes nothing, and this keeps digits
    kernel[number[:, None] == number] = 0.0
    towards = np.add.reduceat(kernel * weights, starts, axis=1)
    means = np.add.reduceat(towards * weights[:, None], starts, axis=0)
    within = towards - means[number]
    spread = within - within.sum(axis=1, keepdims=True) / (m - 1)
    of_images = means.sum(axis=1) / (m - 2)
    centred = means - of_images[:, None] - of_images + of_images.sum() / (m - 1)
    part = np.sqrt((m - 1) / (m - 2)) * spread - within
    part += (np.sqrt((m - 1) / (m - 3)) * centred - means)[number] / 2.0
    vector = np.empty(pairs_of_images(images))
    end = 0
    for row, image in enumerate(number):
        others = slice(int(images.edges[image + 1]), None)
        start, end = end, end + len(number) - others.start
        line = kernel[row, others] + part[row, number[others]] + part[others, image]
        np.multiply(line, root[row] * root[others], out=vector[start:end])
    norm = float(np.linalg.norm(vector))
    if norm <= LEAST_LEFT * float(np.linalg.norm(kernel)):
        vector[:] = 0.0
    return vector


def images_of_pairs(images: Images) -> tuple[Indices, Indices]:
    """The images of rows i and j of each entry of `vector_of_images`."""
    number = np.repeat(np.arange(images.count), images.sizes)
    others = [number[images.edges[image + 1] :] for image in number]
    return np.repeat(number, [len(one) for one in others]), np.concatenate(others)


def pairs_of_images(images: Images) -> int:
    """Pairs of rows of different images."""
    sizes = images.sizes
    return (int(sizes.sum()) ** 2 - int(sizes @ sizes)) // 2

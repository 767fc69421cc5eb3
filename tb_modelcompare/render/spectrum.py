"""Where an optimisation begins: noise, or a smaller picture, as lucid's Fourier parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.render.lucid_bridge import load_lucid

# lucid's decay is 1, with a rate of 0.05. More of the change goes to large shapes and less to
# speckles, which deep layers answer to as well; the rate keeps middle frequencies as they are.
DECAY_POWER = 1.25
_INITIAL_DEVIATION = 0.01
_DIVISOR = 4  # of lucid's `fft_image`
_DARKEST = 0.02  # what is black or white cannot change

Spectrum = npt.NDArray[np.float32]


def spectrum_shape(count: int, height: int, width: int, channels: int) -> tuple[int, ...]:
    """(2, pictures, channels, v, u) of lucid's Fourier parameters: real and imaginary parts."""
    return 2, count, channels, *_scale(height, width).shape


def fourier_image(tf: Any, spectrum: Any, height: int, width: int) -> Any:
    """lucid's `fft_image`, without its slices of the parameters, which have a slow gradient.

    Parameters
    ----------
    tf : module
        `tensorflow.compat.v1`.
    spectrum : tensor
        Of `spectrum_shape`.
    height, width : int

    Returns
    -------
    tensor (pictures, height, width, channels)
        Before its values are made colours.
    """
    scale = _scale(height, width) / _DIVISOR
    real, imaginary = tf.unstack(spectrum * scale.astype(np.float32))
    image = tf.transpose(tf.signal.irfft2d(tf.complex(real, imaginary)), (0, 2, 3, 1))
    # Of an odd width lucid makes one column more.
    return image[:, :, :width] if width % 2 else image


def _scale(height: int, width: int) -> npt.NDArray[np.float64]:
    """How strong each frequency is for a parameter of 1."""
    frequencies = load_lucid().spatial.rfft2d_freqs(height, width)
    lowest = 1 / max(width, height)
    found = np.sqrt(width * height) / np.maximum(frequencies, lowest) ** DECAY_POWER
    return np.asarray(found)


def noise_spectrum(seed: int, shape: tuple[int, ...]) -> Spectrum:
    """The noise that every picture of a job begins with.

    Parameters
    ----------
    shape : (2, pictures, channels, v, u)
        As of `spectrum_shape`.
    """
    parts, count, *rest = shape
    noise = np.random.RandomState(seed).normal(scale=_INITIAL_DEVIATION, size=(parts, 1, *rest))
    # The same noise for every picture: what differs is what the layers want to see.
    return np.repeat(noise, count, axis=1).astype(np.float32)


def picture_spectrum(pictures: npt.NDArray[np.float32], edge: int) -> Spectrum:
    """Fourier parameters of pictures that are to be changed further.

    Parameters
    ----------
    pictures : array (pictures, height, width, channels)
        In [0, 1], of the size to go on with.
    edge : int
        Pixels of the margin, which mirrors the picture.

    Returns
    -------
    array (2, pictures, channels, v, u)
    """
    lucid = load_lucid()
    unit = np.clip(pictures, _DARKEST, 1 - _DARKEST)
    values = np.log(unit / (1 - unit))
    if pictures.shape[-1] == 3:
        colors = lucid.color.color_correlation_svd_sqrt / lucid.color.max_norm_svd_sqrt
        values = values @ np.linalg.inv(colors.T)
    height, width = (side + 2 * edge for side in pictures.shape[1:3])
    # Of an odd width there is one column more.
    padding = ((0, 0), (edge, edge), (edge, edge + width % 2), (0, 0))
    values = np.pad(values, padding, "reflect")
    spectrum = _DIVISOR * np.fft.rfft2(np.moveaxis(values, -1, 1))
    parts = np.stack([spectrum.real, spectrum.imag])
    return np.asarray(parts / _scale(height, width), np.float32)

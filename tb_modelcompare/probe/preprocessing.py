"""From a probe's pixels to what a model wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ProbeError
from tb_modelcompare.errors.checks import number, true_or_false

_LARGEST = float(np.finfo(np.float32).max)
# ITU-R BT.601, what PIL's convert("L") uses.
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Preprocessing:
    """From RGB in [0, 1] to what a model wants: channels reversed if `bgr`, then x*scale + offset.

    `Preprocessing()` leaves RGB in [0, 1] as it is.

    Parameters
    ----------
    scale, offset : tuple of float
        Three numbers, one per channel in the model's order of channels, or one number for all.
    bgr : bool
        Whether the model wants blue, green, red.

    Raises
    ------
    ProbeError
        If these are no finite numbers, or a scale is 0.

    Examples
    --------
    >>> import numpy as np
    >>> grey = np.full((1, 1, 3), 0.5)
    >>> Preprocessing.range(0, 255).apply(grey)
    array([[[127.5, 127.5, 127.5]]], dtype=float32)
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    bgr: bool = False

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), (1, 3)))
        if 0.0 in np.asarray(self.scale, np.float32):
            raise ProbeError("preprocessing scale holds 0, which would erase the image")
        true_or_false("preprocessing bgr", self.bgr, error=ProbeError)

    @classmethod
    def tf(cls) -> Preprocessing:
        """[-1, 1], as `keras.applications` mode "tf" (Inception, MobileNet).

        Returns
        -------
        Preprocessing
        """
        return cls.range(-1.0, 1.0)

    @classmethod
    def torch(cls) -> Preprocessing:
        """ImageNet mean and deviation of [0, 1], as torchvision's models.

        Returns
        -------
        Preprocessing
        """
        mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return cls(
            scale=tuple(1 / d for d in deviation),
            offset=tuple(-m / d for m, d in zip(mean, deviation, strict=True)),
        )

    @classmethod
    def caffe(cls, mean: tuple[float, float, float] = (103.939, 116.779, 123.68)) -> Preprocessing:
        """BGR of 0..255 centred by `mean` (B, G, R), as `keras.applications` mode "caffe".

        Parameters
        ----------
        mean : (float, float, float)
            Of blue, green and red, from 0 to 255.

        Returns
        -------
        Preprocessing
        """
        offset = tuple(-value for value in _numbers("mean", mean, (3,)))
        return cls(scale=(255.0,) * 3, offset=offset, bgr=True)

    @classmethod
    def range(cls, low: float, high: float) -> Preprocessing:
        """RGB in [low, high]; `range(0, 255)` for models that rescale by themselves.

        Parameters
        ----------
        low, high : float
            What 0 and 1 become.

        Returns
        -------
        Preprocessing

        Raises
        ------
        ProbeError
            If these are not two finite numbers of which the first is the smaller.
        """
        (low,), (high,) = _numbers("low", [low], (1,)), _numbers("high", [high], (1,))
        if not low < high:
            raise ProbeError(f"the range goes from {low:g} to {high:g}; give the smaller one first")
        return cls(scale=(high - low,), offset=(low,))

    def for_channels(self, channels: int) -> Preprocessing:
        """The same with one number per channel.

        Parameters
        ----------
        channels : int

        Returns
        -------
        Preprocessing

        Raises
        ------
        ProbeError
            If this preprocessing is of another number of channels.
        """
        if channels != 3 and (self.bgr or max(len(self.scale), len(self.offset)) > 1):
            raise ProbeError(
                f"this preprocessing is for 3 channels and the model takes {channels}; "
                f"use Preprocessing.range(low, high)"
            )
        scale, offset = (
            v if len(v) == channels else v * channels for v in (self.scale, self.offset)
        )
        return Preprocessing(scale, offset, self.bgr)

    def apply(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Images in the range and the order of channels that the model wants.

        Parameters
        ----------
        images : array (…, channels)
            RGB in [0, 1].

        Returns
        -------
        array (…, channels), float32
        """
        ordered = images[..., ::-1] if self.bgr else images
        scaled = ordered * np.asarray(self.scale, np.float32)
        return np.asarray(scaled + np.asarray(self.offset, np.float32), np.float32)

    def to_json(self) -> dict[str, Any]:
        """The form in which a log holds it.

        Returns
        -------
        dict
            ``{"scale": […], "offset": […], "bgr": bool}``.
        """
        return {"scale": list(self.scale), "offset": list(self.offset), "bgr": self.bgr}

    @classmethod
    def from_json(cls, value: Any) -> Preprocessing:
        """The inverse of `to_json`.

        Parameters
        ----------
        value : dict

        Returns
        -------
        Preprocessing

        Raises
        ------
        ProbeError
            If `value` is not what `to_json` gives.
        """
        if not isinstance(value, dict) or not isinstance(value.get("bgr"), bool):
            raise ProbeError("preprocessing is not {scale, offset, bgr}")
        scale, offset = value.get("scale"), value.get("offset")
        for numbers in (scale, offset):
            if not isinstance(numbers, list) or not all(
                isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers
            ):
                raise ProbeError("preprocessing scale and offset are not lists of numbers")
        return cls(tuple(scale or ()), tuple(offset or ()), value["bgr"])


def _numbers(name: str, values: Any, counts: tuple[int, ...]) -> tuple[float, ...]:
    """As many numbers as `counts` allows, each within float32, which images are computed in."""
    if not isinstance(values, Iterable) or len(given := tuple(values)) not in counts:
        wanted = " or ".join(map(str, counts))
        raise ProbeError(f"preprocessing {name} is {values!r:.100}; give {wanted} finite numbers")
    return tuple(
        number(f"preprocessing {name}", v, least=-_LARGEST, most=_LARGEST, error=ProbeError)
        for v in given
    )


def unit_range(images: npt.NDArray[Any], channels: int) -> npt.NDArray[np.float32]:
    """Probe images (n, h, w, c) as float32 in [0, 1] with `channels` 1 or 3.

    Colour becomes grey by ITU-R BT.601 luminance; grey is repeated over three channels.
    """
    scale = np.float32(1 / 255) if images.dtype == np.uint8 else np.float32(1)
    unit = np.asarray(images, np.float32) * scale
    if unit.shape[-1] == channels:
        return unit
    if channels == 1:
        return np.asarray((unit @ _LUMINANCE)[..., None], np.float32)
    return np.repeat(unit, channels, axis=-1)

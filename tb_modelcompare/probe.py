"""Probes (the images and positions that every model is shown) and preprocessing."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, ProbeError
from tb_modelcompare.sampling import sample

_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
# ITU-R BT.601, what PIL's convert("L") uses.
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, eq=False, init=False)
class Probe:
    """A fixed, ordered set of images and, for every row, a relative position in its image.

    Parameters
    ----------
    images : array (n, h, w, c) or (n, h, w)
        uint8, or floating point in [0, 1] (kept as float32); c is 1 or 3 (RGB).
    positions : array (n * k, 2), optional
        (u, v) in [0, 1): u over the height, v over the width. Rows r with the same
        r // k belong to one image. Drawn uniformly from `seed` if left out.
    positions_per_image : int
        k, when positions are drawn.
    seed : int
        Of the drawn positions.
    names : sequence of str, optional
        One per image; "0", "1", … if left out. Not part of the id.

    Attributes
    ----------
    id : str
        SHA-256 over pixels, positions and their order. Rows of two snapshots are
        comparable only when their probe ids are equal.

    Raises
    ------
    ProbeError
        For anything else, saying what to change.
    """

    images: npt.NDArray[Any]
    positions: npt.NDArray[np.float64]
    positions_per_image: int
    names: tuple[str, ...]
    id: str

    def __init__(
        self,
        images: npt.ArrayLike,
        positions: npt.ArrayLike | None = None,
        *,
        positions_per_image: int = 1,
        seed: int = 0,
        names: Sequence[str] | None = None,
    ) -> None:
        pixels = _checked_images(images)
        count = len(pixels)
        if positions is None:
            if positions_per_image < 1:
                raise ProbeError(f"positions_per_image is {positions_per_image}; give 1 or more")
            places = np.random.default_rng(seed).random((count * positions_per_image, 2))
        else:
            places = _checked_positions(positions, count)
        texts = tuple(map(str, range(count) if names is None else names))
        if len(texts) != count:
            raise ProbeError(f"{len(texts)} names for {count} images; give one per image")
        if pixels.flags.writeable:  # the caller could change them under our id
            pixels = pixels.copy()
            pixels.flags.writeable = False
        places.flags.writeable = False
        object.__setattr__(self, "images", pixels)
        object.__setattr__(self, "positions", places)
        object.__setattr__(self, "positions_per_image", len(places) // count)
        object.__setattr__(self, "names", texts)
        object.__setattr__(self, "id", _probe_id(pixels, places))

    @property
    def rows(self) -> int:
        """Number of rows of every activation matrix; row r is of image r // positions_per_image."""
        return len(self.positions)

    def sample(self, output: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The rows of a layer's output on this probe's images, for `add_activations`.

        Parameters
        ----------
        output : array (images, h, w, units), (images, tokens, units) or (images, units)
            One entry per image of the probe, channels last. Of a map, the value at
            (floor(u·h), floor(v·w)); of tokens, as of a map of g × g where there are g² of
            them, or g² + 1 with the first passed over, and by u alone otherwise; of a vector,
            the same at every position.

        Returns
        -------
        array (rows, units), float32

        Raises
        ------
        ActivationError
            If `output` has another shape or is not of real numbers.
        """
        array = np.asarray(output)
        if array.ndim == 0 or len(array) != len(self) or array.dtype.kind not in "fiub":
            raise ActivationError(
                f"output is {array.dtype} of shape {array.shape}; give real numbers, one entry "
                f"for each of {len(self)} images"
            )
        places = self.positions.reshape(len(self), self.positions_per_image, 2)
        return sample(array, places, "output").values

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"<Probe {self.id[:16]}: {len(self)} images, {self.rows} rows>"

    @classmethod
    def from_directory(
        cls,
        path: str | Path,
        size: int | tuple[int, int] = 224,
        limit: int | None = 1000,
        positions_per_image: int = 4,
        seed: int = 0,
    ) -> Probe:
        """Photos of a directory and its subdirectories, in order of their names.

        Each photo is turned upright (EXIF), converted to RGB, scaled and cropped about its
        centre to `size` (one number, or height and width). Where there are more than `limit`,
        they are taken evenly over the sorted list, so that every subdirectory has its share.

        Raises
        ------
        ProbeError
            If there is no such directory, no image in it, or a file that cannot be decoded.
        """
        root = Path(path)
        if not root.is_dir():
            raise ProbeError(f"{root} is no directory; give one that holds images")
        files = sorted(
            file
            for file in root.rglob("*")
            if file.suffix.lower() in _IMAGE_SUFFIXES and file.is_file()
        )
        if not files:
            raise ProbeError(f"no image ({', '.join(sorted(_IMAGE_SUFFIXES))}) under {root}")
        if limit is not None and limit < 1:
            raise ProbeError(f"limit is {limit}; give 1 or more, or None for all")
        if limit is not None and len(files) > limit:
            files = [files[i * len(files) // limit] for i in range(limit)]
        height, width = (size, size) if isinstance(size, int) else size
        images = np.empty((len(files), height, width, 3), dtype=np.uint8)
        for i, file in enumerate(files):
            images[i] = _read_photo(file, height, width)
        names = [file.relative_to(root).as_posix() for file in files]
        return cls(images, positions_per_image=positions_per_image, seed=seed, names=names)


@dataclass(frozen=True)
class Preprocessing:
    """From RGB in [0, 1] to what a model wants: channels reversed if `bgr`, then x*scale + offset.

    `scale` and `offset` hold one number per channel, in the model's order of channels, or a
    single number for all channels. `Preprocessing()` leaves RGB in [0, 1] as it is.
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    bgr: bool = False

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) not in (1, 3) or not all(map(math.isfinite, values)):
                raise ProbeError(f"preprocessing {name} is {values}; give 1 or 3 finite numbers")
            object.__setattr__(self, name, values)
        if 0.0 in self.scale:
            raise ProbeError("preprocessing scale holds 0, which would erase the image")

    @classmethod
    def tf(cls) -> Preprocessing:
        """[-1, 1], as `keras.applications` mode "tf" (Inception, MobileNet)."""
        return cls.range(-1.0, 1.0)

    @classmethod
    def torch(cls) -> Preprocessing:
        """ImageNet mean and deviation of [0, 1], as torchvision's models."""
        mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return cls(
            scale=tuple(1 / d for d in deviation),
            offset=tuple(-m / d for m, d in zip(mean, deviation, strict=True)),
        )

    @classmethod
    def caffe(cls, mean: tuple[float, float, float] = (103.939, 116.779, 123.68)) -> Preprocessing:
        """BGR of 0..255 less `mean` (B, G, R), as `keras.applications` mode "caffe"."""
        return cls(scale=(255.0,) * 3, offset=tuple(-m for m in mean), bgr=True)

    @classmethod
    def range(cls, low: float, high: float) -> Preprocessing:
        """RGB in [low, high]; `range(0, 255)` for models that rescale by themselves."""
        return cls(scale=(high - low,), offset=(low,))

    def for_channels(self, channels: int) -> Preprocessing:
        """The same with one number per channel.

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
        """`images` (…, c), RGB in [0, 1], as float32 in the model's range and channel order."""
        ordered = images[..., ::-1] if self.bgr else images
        scaled = ordered * np.asarray(self.scale, np.float32)
        return np.asarray(scaled + np.asarray(self.offset, np.float32), np.float32)

    def to_json(self) -> dict[str, Any]:
        """{"scale": […], "offset": […], "bgr": bool}"""
        return {"scale": list(self.scale), "offset": list(self.offset), "bgr": self.bgr}

    @classmethod
    def from_json(cls, value: Any) -> Preprocessing:
        """The inverse of `to_json`.

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


def _checked_images(images: npt.ArrayLike) -> npt.NDArray[Any]:
    array = images if isinstance(images, np.ndarray) else np.asarray(images)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or 0 in array.shape or array.shape[-1] not in (1, 3):
        raise ProbeError(
            f"images have shape {array.shape}; give (n, h, w, 3) RGB or (n, h, w, 1) grey, n > 0"
        )
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise ProbeError(f"images are {array.dtype}; give uint8, or floating point in [0, 1]")
    array = np.ascontiguousarray(array, dtype=np.float32)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 1.0):  # false for NaN as well
        raise ProbeError(
            f"floating point images lie in [{low:g}, {high:g}]; give [0, 1], or uint8 for 0..255"
        )
    return array


def _checked_positions(positions: npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
    places = np.array(positions, dtype=np.float64, order="C")
    if places.ndim != 2 or places.shape[1] != 2 or len(places) == 0 or len(places) % count:
        raise ProbeError(
            f"positions have shape {places.shape}; give (k * {count}, 2), k for each image in turn"
        )
    if not (places.min() >= 0.0 and places.max() < 1.0):
        raise ProbeError("positions must lie in [0, 1): (u over the height, v over the width)")
    return places


def _probe_id(images: npt.NDArray[Any], positions: npt.NDArray[np.float64]) -> str:
    little = images.dtype.newbyteorder("<")
    header = {
        "version": 1,
        "dtype": images.dtype.name,
        "shape": images.shape,
        "rows": len(positions),
    }
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for image in images:
        digest.update(np.ascontiguousarray(image, dtype=little).data)
    digest.update(np.ascontiguousarray(positions, dtype="<f8").data)
    return digest.hexdigest()


def _read_photo(file: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as photo:
            upright = ImageOps.exif_transpose(photo).convert("RGB")
            fitted = ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ProbeError(f"{file} cannot be decoded as an image ({error}); remove it") from error
    return np.asarray(fitted, dtype=np.uint8)

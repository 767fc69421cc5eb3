"""A photo as users name it: an image of the probe, or one of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.best_photos import rgb_bytes
from tb_modelcompare.compare.photos import decode_photo, keep_photo
from tb_modelcompare.errors import PhotoError, ProbeError, nearest
from tb_modelcompare.log.snapshot import Snapshot

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class NamedPhoto:
    """A photo, and how a request for caricatures names it.

    Attributes
    ----------
    name : str
    pixels : array (height, width, 3) uint8
    asked : dict
        {"image": number} or {"photo": digest}.
    """

    name: str
    pixels: Picture
    asked: dict[str, Any]


def named_photo(snapshot: Snapshot, image: str | Path | int | npt.NDArray[np.uint8]) -> NamedPhoto:
    """An image of the probe by its name or number, or a photo by its file or its pixels.

    A photo of one's own is kept in the cache, where the worker finds it.

    Raises
    ------
    ProbeError, PhotoError
        If the image is neither one of the probe nor a photo that can be decoded.
    """
    probe = snapshot.probe()
    if isinstance(image, str) and image in probe.names:
        image = probe.names.index(image)
    if isinstance(image, int | np.integer) and not isinstance(image, bool):
        if not 0 <= image < len(probe):
            raise ProbeError(f"the probe has no image {image}; it has 0 to {len(probe) - 1}")
        number = int(image)
        return NamedPhoto(probe.names[number], rgb_bytes(probe.images[number]), {"image": number})
    if isinstance(image, str | Path):
        name, pixels = Path(image).name, _decoded(Path(image), probe.names)
    else:
        name, pixels = "the photo", np.asarray(image)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise PhotoError(
                f"the photo is {pixels.dtype} {pixels.shape}; give an array (height, width, 3) of "
                "uint8, a file, or the name or number of an image of the probe"
            )
    return NamedPhoto(name, pixels, {"photo": keep_photo(ResultCache(), pixels)})


def _decoded(path: Path, names: Sequence[str]) -> Picture:
    if not path.exists():
        raise ProbeError(
            f"{str(path)!r} is neither a file nor the name of a photo of the probe; "
            f"{nearest(str(path), tuple(names))}"
        )
    try:
        return decode_photo(path.read_bytes())
    except (OSError, PhotoError) as error:
        raise PhotoError(f"{path}: {error}") from error

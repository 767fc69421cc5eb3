"""Photos of a directory, read to one size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ProbeError
from tb_modelcompare.errors.checks import first_named, whole

MAX_PHOTO_SIZE = 4096  # pixels of a side
_NAMED = 5  # of the files that cannot be decoded
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


def photos(path: Any, size: Any, limit: Any) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Photos of a directory and its subdirectories at one size, and their paths below it.

    Raises
    ------
    ProbeError
        If an option is none of these, there is no photo, or some cannot be decoded: it names them.
    """
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ProbeError(f"path is {path!r:.100}; give a directory that holds images")
    height, width = checked_size(size)
    if limit is not None:
        whole("limit", limit, least=1, error=ProbeError)
    root = Path(path)
    files = photo_files(root, limit)
    images = np.empty((len(files), height, width, 3), dtype=np.uint8)
    broken: list[str] = []
    for i, file in enumerate(files):
        try:
            images[i] = fitted_photo(file, height, width)
        except ProbeError as error:
            broken.append(str(error))
    if broken:
        raise ProbeError(first_named(broken, _NAMED, "; "))
    return images, [file.relative_to(root).as_posix() for file in files]


def photo_files(root: Path, limit: int | None) -> list[Path]:
    """Photos in a directory and its subdirectories, by name; at most `limit`, evenly chosen.

    Raises
    ------
    ProbeError
        If there is no such directory, or no image in it.
    """
    if not root.is_dir():
        raise ProbeError(f"{root} is no directory; give one that holds images")
    files = sorted(
        file for file in root.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file()
    )
    if not files:
        raise ProbeError(f"no image ({', '.join(sorted(_SUFFIXES))}) under {root}")
    if limit is not None and len(files) > limit:
        files = [files[i * len(files) // limit] for i in range(limit)]
    return files


def fitted_photo(file: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    """A photo (height, width, 3): turned upright, as RGB, scaled and cropped about its centre.

    Raises
    ------
    ProbeError
        If it cannot be decoded.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as photo:
            upright = ImageOps.exif_transpose(photo).convert("RGB")
            fitted = ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ProbeError(f"{file} cannot be decoded as an image ({error}); remove it") from error
    return np.asarray(fitted, dtype=np.uint8)


def checked_size(size: Any) -> tuple[int, int]:
    """Height and width, of one number or two; ProbeError for others."""
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ProbeError(f"size is {size!r:.100}; give one number, or (height, width)")
    height, width = (
        whole("size", n, least=1, most=MAX_PHOTO_SIZE, error=ProbeError) for n in sides
    )
    return height, width

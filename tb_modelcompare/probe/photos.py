"""Photos of a directory, read to one size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ProbeError
from tb_modelcompare.errors.checks import whole

MAX_PHOTO_SIZE = 4096  # pixels of a side
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


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

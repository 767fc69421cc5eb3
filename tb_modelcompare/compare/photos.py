"""Photos: those from outside of a probe decoded within bounds and kept by their content."""

from __future__ import annotations

import hashlib
import io
import math
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.errors import LimitError, PhotoError

if TYPE_CHECKING:
    from PIL.Image import Image

PHOTO = "photo.png"

# Nothing is drawn larger than this, and a larger photo costs time and room only.
MAX_SIDE = 1024
# Of what is decoded, some 4 bytes a pixel and copies of it.
_MAX_PIXELS = 16 * 10**6
# A JPEG is decoded at half its size, a quarter or an eighth, where that is large enough.
_MAX_JPEG_PIXELS = 100 * 10**6
_decoding = threading.Lock()
TURN_SECONDS = 10.0
_TILE_TAGS = (322, 323)  # width and length
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def decode_photo(content: bytes) -> npt.NDArray[np.uint8]:
    """An encoded photo as RGB, upright, at most `MAX_SIDE` on its longer side.

    Parameters
    ----------
    content : bytes
        A JPEG, PNG, WebP, GIF, BMP or TIFF file.

    Returns
    -------
    array (height, width, 3) uint8

    Raises
    ------
    PhotoError
        If it is none of these, is damaged, or has too many pixels: more than 16 million, of a
        JPEG more than 100 million. Nothing is decoded to find out.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as photo:
            _require_few_pixels(photo, _MAX_JPEG_PIXELS if photo.format == "JPEG" else _MAX_PIXELS)
            if photo.format == "JPEG":
                photo.draft(None, (2 * MAX_SIDE, 2 * MAX_SIDE))
                _require_few_pixels(photo, _MAX_PIXELS)
            ImageOps.exif_transpose(photo, in_place=True)
            upright = photo if photo.mode == "RGB" else photo.convert("RGB")
            upright.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
            return np.asarray(upright)
    except PhotoError:
        raise
    except UnidentifiedImageError as error:  # whose own words are those of Python
        known = ", ".join(_FORMATS)
        raise PhotoError(f"this cannot be decoded as an image; give one of {known}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"this cannot be decoded as an image ({error})") from error


def decode_in_turn(content: bytes) -> npt.NDArray[np.uint8]:
    """`decode_photo`, for a server: one at a time, as each takes some hundred megabytes.

    Raises
    ------
    PhotoError
        As `decode_photo`.
    LimitError
        If others take too long.
    """
    if not _decoding.acquire(timeout=TURN_SECONDS):
        raise LimitError("other photos are being decoded; send this one again in a moment")
    try:
        return decode_photo(content)
    finally:
        _decoding.release()


def _require_few_pixels(photo: Image, most: int) -> None:
    """By what the header says; a TIFF may be made of tiles that are larger than it is."""
    width, height = photo.size
    tags = getattr(photo, "tag_v2", {})
    tile = [value if isinstance(value, int) else 1 for value in map(tags.get, _TILE_TAGS)]
    if max(width * height, math.prod(tile)) > most:
        raise PhotoError(
            f"the photo has {width} × {height} pixels; at most {most // 10**6} million are read: "
            f"make it smaller"
        )


def keep_photo(cache: ResultCache, pixels: npt.NDArray[np.uint8]) -> str:
    """Store pixels (height, width, 3) in the cache; the digest that they are found by."""
    header = f"photo {pixels.shape}".encode()
    digest = hashlib.sha256(header + np.ascontiguousarray(pixels).tobytes()).hexdigest()
    if cache.find(digest) is None:
        cache.put(digest, {PHOTO: encoded_png(pixels)}, {"kind": "photo"})
    return digest


def read_photo(cache: ResultCache, digest: str) -> npt.NDArray[np.uint8]:
    """The pixels of a photo that was kept.

    Raises
    ------
    PhotoError
        If it is not in the cache any more.
    """
    from PIL import Image

    content = cache.read(digest, PHOTO)
    if content is None:
        raise PhotoError(f"the photo {digest[:12]}… is no longer kept; give it again")
    return np.asarray(Image.open(io.BytesIO(content)))


def encoded_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Pixels (height, width, 3) or (height, width) as a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def shown_png(pixels: npt.NDArray[Any], size: int) -> bytes:
    """Pixels (h, w, 1 or 3), uint8 or in [0, 1], as a PNG of `size` on the longer side."""
    from PIL import Image

    if pixels.dtype != np.uint8:
        pixels = np.round(np.asarray(pixels) * 255).astype(np.uint8)
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    shown = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else np.asarray(pixels))
    sized = shown.resize((max(1, round(width * scale)), max(1, round(height * scale))))
    return encoded_png(np.asarray(sized))


def cropped(pixels: npt.NDArray[Any], box: Sequence[float]) -> npt.NDArray[Any]:
    """The part (top, left, height, width), shares of the image; one pixel at least."""
    height, width = pixels.shape[:2]
    top, left = min(int(box[0] * height), height - 1), min(int(box[1] * width), width - 1)
    bottom = max(math.ceil((box[0] + box[2]) * height), top + 1)
    right = max(math.ceil((box[1] + box[3]) * width), left + 1)
    return pixels[top:bottom, left:right]

"""One's own photo: decoded within bounds, kept by its content, drawn as layers see it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import PREFIX, Server, error_of

from tb_modelcompare.errors import PhotoError
from tb_modelcompare.server.cache import ResultCache
from tb_modelcompare.server.photos import decode_photo, keep_photo, read_photo

HEADERS = {"X-Modelcompare": "1", "Host": "localhost:6006"}


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=kind, **options)
    return stream.getvalue()


def gradient(height: int = 40, width: int = 60) -> np.ndarray:
    v, u = np.mgrid[0:height, 0:width]
    return np.stack([4 * u % 256, 6 * v % 256, (u + v) % 256], -1).astype(np.uint8)


def send(server: Server, body: bytes, **changes: Any) -> Any:
    options = {"data": body, "content_type": "image/png", "headers": HEADERS, **changes}
    return server.client.post(f"{PREFIX}/photo", **options)


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size, and nothing of its pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 64) + b"IDAT"


def test_a_photo_is_kept_by_its_content_and_shown_again(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    answer = send(server, encoded(gradient()))
    assert answer.status_code == 200
    kept = answer.get_json()
    assert (kept["width"], kept["height"]) == (60, 40)
    assert send(server, encoded(gradient(), optimize=True)).get_json() == kept
    assert send(server, encoded(gradient(40, 61))).get_json()["photo"] != kept["photo"]
    shown = server.get("job_image", id=kept["photo"], name="photo.png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(shown.data))), gradient())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP"])
def test_kinds_of_files(kind: str) -> None:
    assert decode_photo(encoded(gradient(), kind)).shape == (40, 60, 3)


def test_a_photo_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise
    turned = decode_photo(encoded(gradient(), exif=exif))
    np.testing.assert_array_equal(turned, np.rot90(gradient(), -1))


def test_large_photos_are_reduced_and_huge_ones_refused_unread() -> None:
    assert decode_photo(encoded(gradient(300, 3000))).shape == (102, 1024, 3)
    with pytest.raises(PhotoError, match="9000 × 9000 pixels"):
        decode_photo(png_header(9_000, 9_000))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        encoded(gradient())[:-40],
        png_header(10, 10),
        png_header(100_000, 100_000),  # Pillow itself refuses these
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",  # would start a program
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
)
def test_what_is_no_photo_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(PhotoError, match="cannot be decoded"):
        decode_photo(content)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"headers": {"Host": "localhost:6006"}}, 403),
        ({"headers": {**HEADERS, "Origin": "https://evil.example"}}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "image/svg+xml"}, 415),
        ({"content_type": "application/json"}, 415),
    ],
)
def test_only_the_tab_can_send_photos(
    session_logs: Path,
    serve: Callable[..., Server],
    cache_directory: Path,
    changes: dict[str, Any],
    status: int,
) -> None:
    assert send(serve(session_logs), encoded(gradient()), **changes).status_code == status
    assert not cache_directory.exists()


def test_a_body_beyond_the_bound_is_refused(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    assert error_of(send(server, b"x" * (16 * 2**20 + 1)))[:2] == (413, "RequestError")
    assert error_of(send(server, b"no image"))[:2] == (422, "PhotoError")


def test_a_photo_that_made_room_is_asked_for_again(cache_directory: Path) -> None:
    cache = ResultCache()
    digest = keep_photo(cache, gradient())
    np.testing.assert_array_equal(read_photo(cache, digest), gradient())
    (file,) = cache_directory.rglob("photo.png")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(PhotoError, match="give it again"):
        read_photo(cache, digest)
    assert keep_photo(cache, gradient()) == digest
    np.testing.assert_array_equal(read_photo(cache, digest), gradient())

"""One's own photo: decoded within bounds, kept by its content, drawn as layers see it."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patience import HANG
from PIL import Image
from serving import PREFIX, Server, error_of

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.photos import decode_photo, keep_photo, read_photo
from tb_modelcompare.errors import PhotoError

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
    with pytest.raises(PhotoError, match="5000 × 5000 pixels"):
        decode_photo(png_header(5_000, 5_000))


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size() -> None:
    large = np.repeat(np.repeat(gradient(60, 80), 100, axis=0), 100, axis=1)
    small = decode_photo(encoded(large, "JPEG"))
    assert small.shape == (768, 1024, 3)
    expected = np.asarray(Image.fromarray(gradient(60, 80)).resize((1024, 768), 0))
    assert np.abs(small.astype(int) - expected).mean() < 8


def test_a_tiff_whose_tiles_are_larger_than_itself_is_refused_unread() -> None:
    entries = {256: 10, 257: 10, 258: 8, 259: 8, 262: 1, 277: 1, 322: 2**15, 323: 2**15, 324: 8}
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    body = struct.pack("<H", len(entries)) + listed + struct.pack("<I", 0)
    with pytest.raises(PhotoError, match="16 million"):
        decode_photo(b"II*\0" + struct.pack("<I", 8) + body)


DECODE = """
import io, resource, sys
import numpy as np
from PIL import Image
from tb_modelcompare.errors import PhotoError
from tb_modelcompare.compare.photos import decode_photo

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

stream = io.BytesIO()
Image.new(sys.argv[1], (int(sys.argv[3]), int(sys.argv[4]))).save(stream, sys.argv[2])
before = peak()
try:
    decode_photo(stream.getvalue())
except PhotoError as error:
    print(error)
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("mode", "kind", "width", "height"),
    [("RGBA", "PNG", 4000, 4000), ("RGB", "JPEG", 10_000, 10_000), ("RGBA", "PNG", 8000, 8000)],
)
def test_one_photo_takes_a_bounded_memory(mode: str, kind: str, width: int, height: int) -> None:
    """The last is a file of 249 kB that took 700 MB."""
    command = [sys.executable, "-c", DECODE, mode, kind, str(width), str(height)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) < 200, done.stdout
    assert ("8000 × 8000 pixels" in done.stdout) == (width == 8000)


def test_photos_are_decoded_one_at_a_time(
    session_logs: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(session_logs)
    begun, most, lock = 0, 0, threading.Lock()

    def slow(content: bytes) -> np.ndarray:
        nonlocal begun, most
        with lock:
            begun += 1
            most = max(most, begun)
        time.sleep(0.1)
        with lock:
            begun -= 1
        return gradient()

    monkeypatch.setattr("tb_modelcompare.compare.photos.decode_photo", slow)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: send(server, b"photo").status_code, range(6)))
    assert (most, answers) == (1, [200] * 6)
    monkeypatch.setattr("tb_modelcompare.compare.photos.TURN_SECONDS", 0.01)
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: send(server, b"photo").status_code, range(6)))
    assert sorted(set(answers)) == [200, 429]


FULL = """
import bare_tensorboard, io, json, resource, sys, time
import numpy as np
from pathlib import Path
from PIL import Image
from serving import Server
from test_photos import send

if __name__ == "__main__":
    server = Server(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))  # as a disk on which 64 bytes are left
    stream = io.BytesIO()
    Image.new("RGB", (60, 40)).save(stream, "PNG")
    answer = send(server, stream.getvalue())
    body = {"kind": "similarity", "a": "first/net@0", "b": "second/net@0", "measure": "linear_cka"}
    job = server.wait(server.ask(body)["id"])
    left = [str(path) for path in Path(sys.argv[2]).rglob("work/*")]
    server.plugin.close()
    print(json.dumps([answer.status_code, answer.get_json()["error"], job["error"], left]))
"""


def test_a_full_disk_is_named_and_nothing_is_left(
    session_logs: Path, cache_directory: Path
) -> None:
    here = Path(__file__).parent
    path = [str(here), str(here.parent / "support"), str(here.parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(session_logs), str(cache_directory)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
        },
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, photo, job, left = json.loads(done.stdout.splitlines()[-1])
    assert (status, photo["type"], job["type"]) == (507, "CacheDirectoryError", photo["type"])
    assert "no room" in photo["message"]
    assert "no room" in job["message"]
    assert left == []


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

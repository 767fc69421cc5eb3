"""Files of models from the network onto the user's machine: whole, checked, and only once.

A file appears under its name by one rename. Beside it stands a record of its SHA-256, which every
later fetch from the same address is held to.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import http.client
import json
import os
import re
import secrets
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tb_modelcompare.cache.results import VARIABLE, default_directory, no_room
from tb_modelcompare.errors import CacheDirectoryError, FetchError
from tb_modelcompare.version import __version__

# No frozen graph is larger: it is one protocol buffer.
MAX_BYTES = 2**31 - 1
_CHUNK = 1 << 20
_SILENCE_SECONDS = 30.0
_REDIRECTS = 5
_ABANDONED_SECONDS = 24 * 3600
_AGAIN = "try again later"
_OFFLINE = "are you offline? A model that was fetched before is taken from the cache"
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Record:
    """What is held of a fetched file.

    Attributes
    ----------
    address : str
    sha256 : str
    size : int
        In bytes.
    """

    address: str
    sha256: str
    size: int


def no_check(file: Path) -> None:
    """Any file will do."""


def fetch(
    address: str,
    *,
    sha256: str | None = None,
    plain_http: bool = False,
    check: Callable[[Path], None] = no_check,
    limit: int = MAX_BYTES,
    directory: Path | None = None,
    progress: bool = True,
) -> Path:
    """The file at an address, from the cache or, the first time, from the network.

    Parameters
    ----------
    address : str
        https://…; it is redirected to https alone.
    sha256 : str, optional
        The checksum that its publisher states. If left out, the first fetch's is recorded, and
        later fetches are held to it.
    plain_http : bool
        Whether http:// is taken as well, for a mirror that the user has set up.
    check : callable
        Called with the fetched file before it is kept; it raises where the file is no model.
    limit : int
        Bytes; a larger file is refused.
    directory : Path, optional
        Where files are kept; `zoo` in the user's cache directory if left out.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Path

    Raises
    ------
    FetchError
        If there is no connection, or the answer is another file, cut short, or too large.
    CacheDirectoryError
        If the cache directory cannot be written.
    """
    _require_scheme(address, plain_http)
    if sha256 is not None and not _SHA256.match(sha256):
        raise FetchError(f"sha256 is {sha256!r:.100}; give 64 digits and letters from a to f")
    with _writing(directory or default_directory() / "zoo") as folder:
        file = folder / _file_name(address)
        record = _record(file)
        wanted = sha256 or (record.sha256 if record else None)
        if file.is_file() and record is not None and _digest(file) == record.sha256 == wanted:
            return file
        with _partial(file) as partial:
            got = _download(address, partial, plain_http, limit, progress)
            if wanted is not None and got.sha256 != wanted:
                raise FetchError(_changed(got, wanted, sha256, file))
            check(partial)
            _write_record(file, got)
            os.replace(partial, file)
    return file


def _changed(got: Record, wanted: str, stated: str | None, file: Path) -> str:
    start = f"{got.address} has SHA-256 {got.sha256}, and "
    if stated is not None:
        return f"{start}{wanted} is stated; nothing of it is kept"
    return (
        f"{start}the first fetch had {wanted}: the file there was changed, or came from someone "
        f"else. Delete {_record_file(file)} if you trust the new one"
    )


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[Path]:
    """A folder that is there; errors of writing in it are those of the cache."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield folder
    except OSError as error:
        raise no_room(folder, error) or CacheDirectoryError(
            f"the cache directory {folder} cannot be written ({error.strerror}); set {VARIABLE} "
            f"to one that can"
        ) from error


def _require_scheme(address: str, plain_http: bool) -> None:
    try:
        parts = urllib.parse.urlsplit(address)
        host = parts.hostname
    except ValueError as error:
        raise FetchError(f"{address!r:.200} is no address: {error}") from error
    if parts.scheme not in (("https", "http") if plain_http else ("https",)) or not host:
        raise FetchError(f"{address!r:.200} is not fetched; give an address that begins https://")


def _file_name(address: str) -> str:
    """A name that tells where it is from, and no two addresses share."""
    last = urllib.parse.urlsplit(address).path.rsplit("/", 1)[-1]
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", last.removesuffix(".pb"))[:60].strip("-") or "model"
    return f"{stem}-{hashlib.sha256(address.encode()).hexdigest()[:16]}.pb"


def _record_file(file: Path) -> Path:
    return file.with_suffix(".json")


def _record(file: Path) -> Record | None:
    try:
        text = _record_file(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
        record = Record(found["address"], found["sha256"], found["size"])
        if _SHA256.match(record.sha256):
            return record
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise FetchError(
        f"{_record_file(file)} is damaged, and says no more which file was fetched; delete it to "
        f"fetch the model anew"
    )


def _write_record(file: Path, record: Record) -> None:
    with _partial(_record_file(file)) as partial:
        partial.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
        os.replace(partial, _record_file(file))


@contextlib.contextmanager
def _partial(file: Path) -> Iterator[Path]:
    """A name beside `file` that is gone afterwards; what a killed process left is removed too."""
    for left in file.parent.glob(f"{file.name}.part-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink()
    partial = file.with_name(f"{file.name}.part-{secrets.token_hex(4)}")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, none of which leads from https to something else."""

    max_redirections = _REDIRECTS

    def __init__(self, plain_http: bool) -> None:
        self._plain_http = plain_http

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _require_scheme(newurl, self._plain_http and req.type == "http")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(address: str, partial: Path, plain_http: bool, limit: int, progress: bool) -> Record:
    opener = urllib.request.build_opener(_Redirects(plain_http))
    request = urllib.request.Request(
        address,
        headers={"User-Agent": f"tb-modelcompare/{__version__}", "Accept-Encoding": "identity"},
    )
    try:
        with opener.open(request, timeout=_SILENCE_SECONDS) as answer:
            return _read(answer, address, partial, limit, progress)
    except urllib.error.HTTPError as error:
        raise FetchError(f"{address} answers {error.code} {error.reason}; {_AGAIN}") from error
    except urllib.error.URLError as error:
        raise FetchError(f"{address} cannot be reached ({error.reason}); {_OFFLINE}") from error
    except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
        raise FetchError(
            f"the connection to {address} broke off ({error}); nothing is kept; {_AGAIN}"
        ) from error


def _read(answer: Any, address: str, partial: Path, limit: int, progress: bool) -> Record:
    from tqdm import tqdm

    if answer.headers.get_content_type() == "text/html":
        raise FetchError(
            f"{address} answers with a page of HTML and no model; a proxy or the log-in page of a "
            f"network may be between"
        )
    length = answer.headers.get("Content-Length")
    size = int(length) if length is not None and re.fullmatch(r"[0-9]{1,18}", length) else None
    if size is not None and size > limit:
        raise FetchError(f"{address} has {size:,} bytes; at most {limit:,} are fetched")
    digest, md5, got = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    name = urllib.parse.urlsplit(address).path.rsplit("/", 1)[-1][:40]
    with (
        partial.open("xb") as stream,
        tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        while chunk := answer.read(_CHUNK):
            got += len(chunk)
            if got > limit:
                raise FetchError(f"{address} does not end after {limit:,} bytes; nothing is kept")
            stream.write(chunk)
            digest.update(chunk)
            md5.update(chunk)
            bar.update(len(chunk))
    if size is not None and got != size:
        raise FetchError(
            f"{address} was cut short after {got:,} of {size:,} bytes; nothing is kept; {_AGAIN}"
        )
    published = _published_md5(answer.headers)
    if published is not None and published != md5.digest():
        raise FetchError(f"{address} does not agree with the MD5 of its answer; {_AGAIN}")
    return Record(address, digest.hexdigest(), got)


def _published_md5(headers: Any) -> bytes | None:
    """The MD5 that Google's storage states in `x-goog-hash`, or any server in `Content-MD5`."""
    stated = [headers.get("Content-MD5") or ""]
    for value in headers.get_all("x-goog-hash") or ():
        stated += [part.strip()[4:] for part in value.split(",") if part.strip().startswith("md5=")]
    for text in filter(None, stated):
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            continue
    return None

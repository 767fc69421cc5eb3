"""Files beside an event file: naming, confinement, digests, atomic writing.

A log directory may have been written by anyone. A path out of an index is followed only
inside its run directory, and a file's bytes are trusted only once their digest was checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tb_modelcompare.errors import CorruptSnapshotError, MissingAssetError
from tb_modelcompare.metadata import ASSET_ROOT

# Directories being written; readers pass them over.
PARTIAL_PREFIX = ".partial-"

_CHUNK = 4 * 2**20
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}\Z")

# What was verified, by file identity: a changed file has another identity.
_verified: dict[tuple[str, int, int, int], str] = {}
_MAX_VERIFIED = 100_000


@dataclass(frozen=True)
class Asset:
    """A file named by an index: path relative to the run directory, size, SHA-256."""

    path: str
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """{"path", "bytes", "sha256"}"""
        return {"path": self.path, "bytes": self.bytes, "sha256": self.sha256}

    @classmethod
    def from_json(cls, value: Any, what: str) -> Asset:
        """The inverse of `to_json`; `what` names the asset in messages.

        Raises
        ------
        CorruptSnapshotError
            If a field is missing or malformed, or the path leaves the plugin's directory.
        """
        if not isinstance(value, dict):
            raise CorruptSnapshotError(f"index: {what} is not an object")
        path, size, digest = value.get("path"), value.get("bytes"), value.get("sha256")
        if not isinstance(path, str) or not _is_confined(path):
            raise CorruptSnapshotError(
                f"index: path of {what}, {path!r:.200}, is not below {ASSET_ROOT}/; refused"
            )
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise CorruptSnapshotError(f"index: size of {what} is {size!r:.50}")
        if not isinstance(digest, str) or not _HEX_DIGEST.match(digest):
            raise CorruptSnapshotError(f"index: sha256 of {what} is {digest!r:.100}")
        return cls(path, size, digest)

    def locate(self, run_dir: str) -> Path:
        """The file, inside the run directory and of the recorded size; contents unchecked.

        Raises
        ------
        MissingAssetError
            If it is not there.
        CorruptSnapshotError
            If it is elsewhere by a symbolic link, no file, or of another size.
        """
        root = os.path.realpath(run_dir)
        real = os.path.realpath(os.path.join(root, *self.path.split("/")))
        if os.path.commonpath([root, real]) != root:
            raise CorruptSnapshotError(f"{self.path} leads out of the run directory; refused")
        try:
            status = os.stat(real)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingAssetError(
                f"{self.path} is missing from {run_dir}; copy the whole run directory, "
                f"or log the model again"
            ) from error
        if not os.path.isfile(real):
            raise CorruptSnapshotError(f"{self.path} in {run_dir} is no file")
        if status.st_size != self.bytes:
            raise CorruptSnapshotError(
                f"{self.path} in {run_dir} has {status.st_size} bytes and its index says "
                f"{self.bytes}; log the model again"
            )
        return Path(real)

    def verify(self, run_dir: str) -> Path:
        """`locate`, and the contents' digest, computed once per process and file identity.

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            As `locate`; CorruptSnapshotError if the contents were altered.
        """
        file = self.locate(run_dir)
        identity = file_identity(file)
        digest = _verified.get(identity)
        if digest is None:
            digest = file_digest(file)
            if len(_verified) >= _MAX_VERIFIED:
                _verified.clear()
            _verified[identity] = digest
        if digest != self.sha256:
            raise CorruptSnapshotError(
                f"{self.path} in {run_dir} is not what was logged (its SHA-256 differs); "
                f"log the model again"
            )
        return file


def file_identity(file: Path) -> tuple[str, int, int, int]:
    """What changes when a file's contents are replaced: path, size, mtime, inode."""
    status = os.stat(file)
    return str(file), status.st_size, status.st_mtime_ns, status.st_ino


def file_digest(file: Path) -> str:
    """SHA-256 of a file's contents, in hex."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def slug(name: str) -> str:
    """A part of a file name that reminds of `name`; names may be hostile and never are paths."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:40] or "_"


@contextlib.contextmanager
def assembling(parent: Path) -> Iterator[Path]:
    """A new directory to fill under `parent`; removed if the body fails or leaves it there."""
    parent.mkdir(parents=True, exist_ok=True)
    partial = parent / f"{PARTIAL_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish(partial: Path, final: Path) -> None:
    """Make a filled directory visible under its name, all at once and durably.

    `final` is named after its contents: one that is there already holds the same, or is
    damaged and makes room.
    """
    for file in partial.iterdir():
        sync(file)
    sync(partial)
    while True:
        try:
            os.rename(partial, final)
            break
        except OSError:
            if not final.is_dir():
                raise
            retired = partial.with_name(f"{partial.name}-old")
            os.rename(final, retired)
            shutil.rmtree(retired, ignore_errors=True)
    sync(final.parent)


def empty_directory(directory: Path) -> None:
    """Delete the files of a snapshot; the empty directory says that this was on purpose."""
    retired = directory.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
    os.rename(directory, retired)
    directory.mkdir()
    shutil.rmtree(retired, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file or directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some file systems cannot sync a directory
            raise
    finally:
        os.close(descriptor)


def describe(file: Path, path: str) -> Asset:
    """The asset for a file that was just written, under the path that it will have."""
    return Asset(path, file.stat().st_size, file_digest(file))


def _is_confined(path: str) -> bool:
    parts = path.split("/")
    return (
        len(path) <= 4096
        and path.startswith(ASSET_ROOT + "/")
        and "\\" not in path
        and "\0" not in path
        and not any(part in ("", ".", "..") for part in parts)
    )

"""Files beside an event file: naming, confinement, digests, atomic writing.

A log directory may have been written by anyone. A path out of an index is followed only
inside its run directory, and a file's bytes are trusted only once their digest was checked.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tb_modelcompare.errors import CorruptSnapshotError, LogDirectoryError, MissingAssetError
from tb_modelcompare.log.format import ASSET_ROOT
from tb_modelcompare.log.hashing import file_digest, file_identity, known_digest, open_regular
from tb_modelcompare.log.text import is_text, parse_json

__all__ = [
    "PARTIAL_PREFIX",
    "PART_ALIGNMENT",
    "Asset",
    "assembling",
    "describe",
    "empty_directory",
    "file_identity",
    "is_being_replaced",
    "publish",
    "slug",
    "sync",
    "unused_name",
    "writing_below",
    "writing_to",
]

# Directories being written; readers pass them over.
PARTIAL_PREFIX = ".partial-"

_HEX_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_MAX_PATH, _MAX_PART = 4096, 255
# Parts of a file begin at multiples of so many bytes, as values do behind a header of numpy's.
PART_ALIGNMENT = 64
_MAX_OFFSET = 2**40


@dataclass(frozen=True)
class Asset:
    """A file named by an index, or a part of one: path below the run directory, size, SHA-256.

    `offset` is where the part begins, in bytes; None stands for the whole file.
    """

    path: str
    bytes: int
    sha256: str
    offset: int | None = None

    def to_json(self) -> dict[str, Any]:
        """{"path", "bytes", "sha256"}, and "offset" of a part."""
        whole = {"path": self.path, "bytes": self.bytes, "sha256": self.sha256}
        return whole if self.offset is None else {**whole, "offset": self.offset}

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
        offset = value.get("offset")
        if offset is not None and not (
            isinstance(offset, int)
            and not isinstance(offset, bool)
            and 0 <= offset <= _MAX_OFFSET
            and offset % PART_ALIGNMENT == 0
        ):
            raise CorruptSnapshotError(f"index: offset of {what} is {offset!r:.50}")
        return cls(path, size, digest, offset)

    def locate(self, run_dir: str) -> Path:
        """The file, inside the run directory and of the recorded size; contents unchecked.

        Of a part, the file that holds it.

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
        with self._readable(run_dir):
            status = os.stat(real)
        if not stat.S_ISREG(status.st_mode):
            raise CorruptSnapshotError(f"{self.path} in {run_dir} is no file")
        end = self.bytes + (self.offset or 0)
        if status.st_size < end or (self.offset is None and status.st_size != end):
            raise CorruptSnapshotError(
                f"{self.path} in {run_dir} has {status.st_size} bytes and its index says "
                f"{end}{'' if self.offset is None else ' or more'}; log the model again"
            )
        return Path(real)

    def verify(self, run_dir: str) -> Path:
        """`locate`, and the contents' digest, computed once per process and file identity.

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            As `locate`; CorruptSnapshotError if the contents were altered.
        LimitError
            If hashing takes longer than `hashing.time_limit` allows.
        """
        file = self.locate(run_dir)
        with self._readable(run_dir):
            digest = known_digest(file, self.offset or 0, self.bytes)
        self._expect(digest, run_dir)
        return file

    def is_intact(self, run_dir: str) -> bool:
        """Whether what was written is still there, and what it was."""
        try:
            self.verify(run_dir)
        except (MissingAssetError, CorruptSnapshotError):
            return False
        return True

    def read(self, run_dir: str) -> builtins.bytes:
        """The contents of a small file or part, the very bytes of which were verified.

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            As `verify`.
        """
        file = self.locate(run_dir)
        with self._readable(run_dir), open_regular(file) as stream:
            stream.seek(self.offset or 0)
            content = stream.read(self.bytes)
        self._expect(hashlib.sha256(content).hexdigest(), run_dir)
        return content

    def _expect(self, digest: str, run_dir: str) -> None:
        if digest != self.sha256:
            raise CorruptSnapshotError(
                f"{self.path} in {run_dir} is not what was logged (its SHA-256 differs); "
                f"log the model again"
            )

    @contextlib.contextmanager
    def _readable(self, run_dir: str) -> Iterator[None]:
        """What the operating system says of a file that cannot be read, as errors of ours."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingAssetError(
                f"{self.path} is missing from {run_dir}; copy the whole run directory, "
                f"or log the model again"
            ) from error
        except OSError as error:
            raise CorruptSnapshotError(
                f"{self.path} in {run_dir} cannot be read ({error.strerror}); make it readable, "
                f"or log the model again"
            ) from error


def slug(name: str) -> str:
    """A part of a file name that reminds of `name`; names may be hostile and never are paths."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:40] or "_"


@contextlib.contextmanager
def writing_to(directory: Path) -> Iterator[None]:
    """What the operating system says of a write that failed, as an error of ours.

    Raises
    ------
    LogDirectoryError
        If the body ends in an OSError.
    """
    try:
        yield
    except OSError as error:
        # numpy's own error of a file that it could not write whole has no number.
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None)
        said = error.strerror or str(error)
        reason = f"there is no room ({said})" if full else said
        raise LogDirectoryError(
            f"cannot write to {directory}: {reason}; what was logged before is as it was. Make "
            f"room there, or make it writable, and log again"
        ) from error


def write_json(file: Path, value: Any) -> None:
    """Write a value as JSON.

    Raises
    ------
    LogDirectoryError
        If that fails.
    """
    with writing_to(file.parent):
        file.write_text(json.dumps(value, separators=(",", ":"), allow_nan=False), encoding="utf-8")


@contextlib.contextmanager
def writing_below(run_dir: Path) -> Iterator[None]:
    """`writing_to` a run, but for errors of files elsewhere, such as a model's own.

    Raises
    ------
    LogDirectoryError
        If the body ends in an OSError of no file, of a file below the run's directory, or of a
        directory above it that is to be made.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            file = Path(os.fsdecode(error.filename))
            if not (file.is_relative_to(run_dir) or run_dir.is_relative_to(file)):
                raise
        with writing_to(run_dir):
            raise


@contextlib.contextmanager
def assembling(parent: Path) -> Iterator[Path]:
    """A new directory to fill under `parent`; removed if the body fails or leaves it there.

    Raises
    ------
    LogDirectoryError
        If it cannot be made.
    """
    partial = unused_name(parent)
    with writing_to(parent):
        partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish(partial: Path, final: Path) -> None:
    """Make a filled directory visible under its name, all at once and durably.

    One that is there already under this name makes room.

    Raises
    ------
    LogDirectoryError
        If that fails.
    """
    with writing_to(final.parent):
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
                retired = unused_name(final.parent, final.name)
                os.rename(final, retired)
                shutil.rmtree(retired, ignore_errors=True)
        sync(final.parent)


def empty_directory(directory: Path) -> None:
    """Delete the files of a snapshot; the empty directory says that this was on purpose.

    Raises
    ------
    LogDirectoryError
        If that fails.
    """
    empty, retired = (unused_name(directory.parent, directory.name) for _ in range(2))
    with writing_to(directory.parent):
        empty.mkdir()  # first: where there is no room for it, nothing was touched
        os.rename(directory, retired)
        os.rename(empty, directory)
    shutil.rmtree(retired, ignore_errors=True)


def is_being_replaced(directory: Path) -> bool:
    """Whether a directory that is not there is about to be: a former one is still beside it."""
    try:
        names = os.listdir(directory.parent)
    except OSError:
        return False
    ending = f"-{directory.name}"
    return any(name.startswith(PARTIAL_PREFIX) and name.endswith(ending) for name in names)


def unused_name(parent: Path, takes_place_of: str = "") -> Path:
    """A path that readers pass over, for what is being written or deleted."""
    ending = takes_place_of and f"-{takes_place_of}"
    return parent / f"{PARTIAL_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{ending}"


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


def move_into(file: Path, place: Path) -> None:
    """Move a file that was written to its place, durably."""
    sync(file)
    os.rename(file, place)
    sync(place.parent)


def describe(file: Path, path: str) -> Asset:
    """The asset for a file that was just written, under the path that it will have."""
    return Asset(path, file.stat().st_size, file_digest(file))


def _is_confined(path: str) -> bool:
    parts = path.split("/")
    return (
        len(path) <= _MAX_PATH
        and path.startswith(ASSET_ROOT + "/")
        and "\\" not in path
        and "\0" not in path
        and not any(part in ("", ".", "..") for part in parts)
        and is_text(path)
        and all(len(part.encode()) <= _MAX_PART for part in parts)
    )


def json_object(asset: Asset, run_dir: str, what: str) -> dict[str, Any]:
    """The JSON object in a small file, which is verified.

    Raises
    ------
    MissingAssetError, CorruptSnapshotError
        If the file is not there, is not what was logged, or holds something else.
    """
    content = asset.read(run_dir)
    try:
        value = parse_json(content)
    except ValueError as error:
        raise CorruptSnapshotError(f"{what} {asset.path} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise CorruptSnapshotError(f"{what} {asset.path} is not a JSON object")
    return value

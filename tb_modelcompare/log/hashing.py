"""SHA-256 of files: once per contents, shared between threads, within the time that there is.

Whoever wrote a log directory chose the sizes of its files, and a sparse file of 256 GB takes no
room. So hashing goes by blocks, ends when the time of the one who asked is over, and goes on
from there when it is asked for again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tb_modelcompare.errors import CorruptSnapshotError, LimitError

Identity = tuple[str, int, int, int]

BLOCK_BYTES = 4 * 2**20
_MAX_KNOWN = 100_000
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@dataclass(eq=False)
class _Hashing:
    """How far a file was hashed; `digest` once that is all of it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sha256: Any = field(default_factory=hashlib.sha256)
    done: int = 0
    digest: str | None = None


# By file identity, and where the part begins and how long it is.
_known: dict[tuple[Identity, int, int], _Hashing] = {}
_lock = threading.Lock()
# Blocks of all files take turns, so that a small file is done while a large one is hashed.
_turns = threading.BoundedSemaphore(2)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Within, hashing that would take longer ends in a `LimitError`."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def file_identity(file: Path) -> Identity:
    """What changes when a file's contents are replaced: path, size, mtime, inode."""
    return identity_of(file, os.stat(file))


def open_regular(file: Path) -> BinaryIO:
    """A regular file, open for reading; nothing that one could wait for.

    Raises
    ------
    OSError
        If it cannot be opened, or is a directory, a pipe, a device or a socket.
    """
    if not stat.S_ISREG(os.stat(file).st_mode):  # opening a device may already have an effect
        raise _not_regular(file)
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    stream = open(descriptor, "rb")  # noqa: SIM115 (the caller closes it)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        stream.close()
        raise _not_regular(file)
    return stream


def known_digest(file: Path, offset: int = 0, length: int | None = None) -> str:
    """SHA-256 of a file or of a part of it, in hex, computed once per process and file identity.

    Parameters
    ----------
    file : Path
    offset : int
        Where the part begins, in bytes.
    length : int, optional
        Of the part, in bytes; to the end of the file if left out.

    Raises
    ------
    LimitError
        If the time of `time_limit` is over; what was hashed until then is kept.
    CorruptSnapshotError
        If the file changes meanwhile.
    OSError
        If it cannot be read.
    """
    identity = file_identity(file)
    size = identity[1] - offset if length is None else length
    with _lock:
        hashing = _known.get((identity, offset, size))
        if hashing is None:
            if len(_known) >= _MAX_KNOWN:
                _known.clear()
            hashing = _known[identity, offset, size] = _Hashing()
    if hashing.digest is None:
        with _before_deadline(hashing.lock, file):
            if hashing.digest is None:
                _go_on(hashing, file, identity, offset, size)
    assert hashing.digest is not None
    return hashing.digest


def file_digest(file: Path) -> str:
    """SHA-256 of a file's contents, in hex."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _go_on(hashing: _Hashing, file: Path, identity: Identity, offset: int, size: int) -> None:
    with open_regular(file) as stream:
        stream.seek(offset + hashing.done)
        while hashing.done < size:
            with _before_deadline(_turns, file):
                block = stream.read(min(BLOCK_BYTES, size - hashing.done))
                hashing.sha256.update(block)
            if not block:
                break
            hashing.done += len(block)
        if identity_of(file, os.fstat(stream.fileno())) != identity:
            raise CorruptSnapshotError(f"{file} changed while it was read; try again")
    hashing.digest = hashing.sha256.hexdigest()


@contextlib.contextmanager
def _before_deadline(lock: threading.Lock | threading.Semaphore, file: Path) -> Iterator[None]:
    left = _deadline.get() - time.monotonic()
    if left <= 0 or not lock.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
        raise LimitError(
            f"checking {file} takes longer than a request may; ask again in a moment: what was "
            f"checked is kept"
        )
    try:
        yield
    finally:
        lock.release()


def identity_of(file: Path, status: os.stat_result) -> Identity:
    """`file_identity` of a file whose status is known."""
    return str(file), status.st_size, status.st_mtime_ns, status.st_ino


def _not_regular(file: Path) -> OSError:
    return OSError(errno.EINVAL, "it is no regular file", str(file))

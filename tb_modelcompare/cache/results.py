"""Results of jobs on disk, keyed by content, shared by every TensorBoard of a user.

A result is a directory that appears under its key by one rename, with a manifest that holds
size and digest of every file; what does not agree with its manifest counts as absent.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tb_modelcompare.errors import CacheDirectoryError
from tb_modelcompare.version import __version__

VARIABLE = "TB_MODELCOMPARE_CACHE"
DEFAULT_BYTES = 4 * 10**9

_MANIFEST = "manifest.json"
# A full disk, a quota, a limit on the size of files.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ABANDONED_SECONDS = 24 * 3600
# Old results make room once more than this fraction of the limit is new.
_WEIGHED = 256
# Bytes that this process stored in a directory since it looked at all results there. A worker
# gets a new ResultCache with every job, and one job alone seldom stores so much.
_unweighed: dict[Path, int] = {}
_KEY = re.compile(r"[0-9a-f]{64}\Z")


def default_directory() -> Path:
    """$TB_MODELCOMPARE_CACHE, or the user's cache directory by the platform's convention."""
    override = os.environ.get(VARIABLE)
    if override:
        return Path(override).expanduser()
    import platformdirs  # knows XDG, macOS and Windows, where guessing goes wrong

    return Path(platformdirs.user_cache_dir("tb-modelcompare", appauthor=False))


@functools.cache
def code_version() -> str:
    """A patched installation never meets results of the code before the patch."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for file in sorted(package.rglob("*.py")):
        digest.update(file.read_bytes())
    return f"{__version__} {digest.hexdigest()}"


def values_file(workspace: Path | None = None) -> Path:
    """Where single values are kept (`values.PairValues`), seen from a job's workspace if from one.

    Raises
    ------
    CacheDirectoryError
        If the cache directory cannot be made.
    """
    directory = workspace.parent.parent if workspace else default_directory()
    _make(directory)
    return directory / "pairs.sqlite"


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(directory, error) from error


def no_room(directory: Path, error: OSError) -> CacheDirectoryError | None:
    """What to say of an error in writing below `directory`; None if it has room."""
    if error.errno not in _NO_ROOM:
        return None
    return CacheDirectoryError(
        f"there is no room in the cache, for {directory} ({error.strerror}); make some, or set "
        f"{VARIABLE} to a directory that has"
    )


def _unwritable(directory: Path, error: OSError) -> CacheDirectoryError:
    return no_room(directory, error) or CacheDirectoryError(
        f"the cache directory {directory} cannot be written ({error.strerror}); "
        f"set {VARIABLE} to one that can"
    )


@dataclass(frozen=True)
class StoredResult:
    """A finished job: what it reported, and its files as name → (bytes, SHA-256).

    `parts` are keys of other results, without which this one is not whole.
    """

    report: dict[str, Any]
    files: dict[str, tuple[int, str]]
    parts: tuple[str, ...] = ()


class ResultCache:
    """Finished results by key, least recently used ones removed beyond `limit_bytes`.

    Safe for several processes at once: results appear and disappear by renaming.
    """

    def __init__(self, directory: Path | None = None, limit_bytes: int = DEFAULT_BYTES) -> None:
        self._directory = directory or default_directory()
        self._limit_bytes = limit_bytes

    def workspace(self) -> Path:
        """A new directory to compute a result in, to be given to `store` or `discard`.

        Raises
        ------
        CacheDirectoryError
            If the cache directory cannot be written.
        """
        work = self._directory / "work"
        path = work / f"{os.getpid()}-{secrets.token_hex(8)}"
        _make(self._directory)
        try:
            work.mkdir(exist_ok=True)
            for left in work.iterdir():  # by a TensorBoard that was killed
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                        shutil.rmtree(left, ignore_errors=True)
            path.mkdir()
        except OSError as error:
            raise _unwritable(self._directory, error) from error
        return path

    @staticmethod
    def discard(workspace: Path) -> None:
        """Remove a workspace whose job did not finish."""
        shutil.rmtree(workspace, ignore_errors=True)

    def put(self, key: str, files: Mapping[str, bytes], report: dict[str, Any]) -> StoredResult:
        """Keep `files` (name → content) under `key`; raises as `store`, leaving nothing."""
        workspace = self.workspace()
        try:
            for name, content in files.items():
                (workspace / name).write_bytes(content)
            return self.store(key, workspace, report)
        except OSError as error:
            raise _unwritable(self._directory, error) from error
        finally:
            self.discard(workspace)  # unless it has become the result

    def store(
        self, key: str, workspace: Path, report: dict[str, Any], parts: Iterable[str] = ()
    ) -> StoredResult:
        """Move all files of `workspace` into the cache under `key`.

        If another process stored the same key meanwhile, its result stays: both hold the same.

        Raises
        ------
        CacheDirectoryError
            If there is no room, or the directory cannot be written; the workspace may be left.
        """
        try:
            return self._store(key, workspace, report, parts)
        except OSError as error:
            raise _unwritable(self._directory, error) from error

    def _store(
        self, key: str, workspace: Path, report: dict[str, Any], parts: Iterable[str]
    ) -> StoredResult:
        files = {file.name: _fingerprint(file.read_bytes()) for file in sorted(workspace.iterdir())}
        whole = StoredResult(report, files, tuple(parts))
        manifest = {"report": report, "files": files, "parts": whole.parts}
        (workspace / _MANIFEST).write_text(json.dumps(manifest, allow_nan=False))
        final = self._path(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(workspace, final)
        except OSError:
            found = self.find(key)
            if found is None:  # find() has removed a damaged one
                os.rename(workspace, final)
            else:
                shutil.rmtree(workspace, ignore_errors=True)
                return found
        self._weigh(sum(size for size, _ in files.values()), keep=final)
        return whole

    def find(self, key: str) -> StoredResult | None:
        """The result of `key`, every file checked; None, and removed, if any is damaged.

        The same goes for its parts.
        """
        path = self._path(key)
        result = self._read_manifest(path)
        if result is None:
            return None
        for name in result.files:
            if self._read(path, result, name) is None:
                return None
        for part in result.parts:
            if self.find(part) is None:
                self._remove(path)
                return None
        return result

    def report(self, key: str) -> dict[str, Any] | None:
        """What the result of `key` reported, without reading its files."""
        result = self._read_manifest(self._path(key))
        return None if result is None else result.report

    def read(self, key: str, name: str) -> bytes | None:
        """A file of a result, checked; None if the result is absent, damaged, or has no such."""
        path = self._path(key)
        result = self._read_manifest(path)
        if result is None or name not in result.files:
            return None
        return self._read(path, result, name)

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise ValueError(f"a result key is 64 hexadecimal digits, not {key!r:.100}")
        return self._directory / "results" / key[:2] / key

    def _read_manifest(self, path: Path) -> StoredResult | None:
        manifest = path / _MANIFEST
        try:
            value = json.loads(manifest.read_bytes())
            files = {
                name: (int(size), str(digest)) for name, (size, digest) in value["files"].items()
            }
            result = StoredResult(dict(value["report"]), files, tuple(value["parts"]))
            for part in result.parts:
                self._path(part)  # which refuses what is no key
            os.utime(manifest)  # the time of last use, for eviction
        except FileNotFoundError:
            if path.is_dir():
                self._remove(path)
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._remove(path)
            return None
        return result

    def _read(self, path: Path, result: StoredResult, name: str) -> bytes | None:
        try:
            content = (path / name).read_bytes()
        except OSError:
            content = None
        if content is None or _fingerprint(content) != result.files[name]:
            self._remove(path)
            return None
        return content

    def _remove(self, path: Path) -> None:
        trash = self._directory / "work" / f"trash-{secrets.token_hex(8)}"
        with contextlib.suppress(OSError):  # another process was faster
            trash.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, trash)
        shutil.rmtree(trash, ignore_errors=True)

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """(time of last use, bytes, path) of every result."""
        for path in self._directory.glob("results/*/*"):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                size = sum(file.stat().st_size for file in path.iterdir())
                yield (path / _MANIFEST).stat().st_mtime, size, path

    def _weigh(self, stored: int, keep: Path) -> None:
        """Make room, if enough came that it may be needed: looking at all results takes long."""
        unweighed = _unweighed.get(self._directory, self._limit_bytes) + stored
        if unweighed > self._limit_bytes // _WEIGHED:
            self._evict(keep)
            unweighed = 0
        _unweighed[self._directory] = unweighed

    def _evict(self, keep: Path) -> None:
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= self._limit_bytes:
                break
            if path != keep:
                self._remove(path)
                total -= size


def _fingerprint(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()

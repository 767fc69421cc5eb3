"""Arrays on disk: their headers judged, their rows read or mapped.

Reading from a memory map of a file that was cut off in the meantime ends the whole process
(SIGBUS), and nothing can catch that. So a server reads: a file that shrank then ends a read
early, which is an error like any other. Memory maps are for processes that may die.
"""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import CorruptSnapshotError, MissingAssetError
from tb_modelcompare.log.assets import Asset
from tb_modelcompare.log.hashing import Identity, file_identity, identity_of, open_regular

# numpy writes some hundred bytes.
_MAX_HEADER = 10_000
_BLOCK_BYTES = 2**24
# Of an array in Fortran order: its columns are read one by one, and it is mapped as a copy.
_MAX_COLUMNS = 2**20
_MAX_COPIED = 2**32


@dataclass(frozen=True)
class ArrayFile:
    """A .npy array in a file, whose parts are read when they are asked for.

    `array[i]` and `array[i:j]` read items along the first axis, and `column` reads one column.
    Each use opens the file and first checks that it is the one that was opened first.

    Attributes
    ----------
    path : Path
    identity : tuple
        `file_identity` of the file whose header was read.
    dtype : dtype
        In the file. Values of 16 bits are given as float32, which holds each of them exactly.
    shape : tuple of int
    offset : int
        Where the values begin, in bytes.
    columns_first : bool
        Whether it is in Fortran order. Every column is read apart then.
    """

    path: Path
    identity: Identity
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    columns_first: bool = False

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice) -> npt.NDArray[Any]:
        """Items along the first axis; a slice has no step.

        Raises
        ------
        MissingAssetError
            If the file is no longer there.
        CorruptSnapshotError
            If it is another one now, or ends early.
        """
        items = range(len(self))[index]
        if isinstance(items, int):
            one: npt.NDArray[Any] = self._read(items, items + 1)[0]
            return one
        return self._read(items.start, items.stop)

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for start, stop in self._blocks():
            yield from self._read(start, stop)

    def column(self, index: int) -> npt.NDArray[Any]:
        """Column `index` of a matrix, read a block of rows at a time; raises as `array[i]`."""
        values = np.empty(len(self), self._given)
        for start, stop in self._blocks():
            values[start:stop] = self._read(start, stop)[:, index]
        return values

    def is_unchanged(self) -> bool:
        """Whether the file is still the one whose header was read."""
        try:
            return file_identity(self.path) == self.identity
        except OSError:
            return False

    def mapped(self) -> npt.NDArray[Any]:
        """The whole array as a read-only memory map, or in memory if it has to be converted.

        Never in a server.

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            As `array[i]`, as far as it can be known now.
        """
        if self._given != self.dtype or self.columns_first:
            whole = self[:]
            whole.flags.writeable = False
            return whole
        with self._opened() as stream:
            return np.memmap(stream, self.dtype, "r", self.offset, self.shape)

    def _blocks(self) -> Iterator[tuple[int, int]]:
        step = max(1, _BLOCK_BYTES // self._item_bytes)
        for start in range(0, len(self), step):
            yield start, min(start + step, len(self))

    @property
    def _given(self) -> np.dtype[Any]:
        return np.dtype(np.float32) if self.dtype == np.float16 else self.dtype

    @property
    def _item_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def _read(self, start: int, stop: int) -> npt.NDArray[Any]:
        shape = (max(stop - start, 0), *self.shape[1:])
        with self._opened() as stream:
            if not self.columns_first:
                values = np.empty(shape, self.dtype)
                self._fill(values, stream, self.offset + start * self._item_bytes)
                return values.astype(self._given, copy=False)
            values = np.empty((math.prod(shape[1:]), shape[0]), self.dtype)
            for i, column in enumerate(values):
                self._fill(column, stream, self.offset + (i * len(self) + start) * values.itemsize)
        rows = values.T.reshape(shape, order="F")
        return np.ascontiguousarray(rows, self._given)

    def _fill(self, values: npt.NDArray[Any], stream: IO[bytes], offset: int) -> None:
        stream.seek(offset)
        rest = values.reshape(-1).view(np.uint8).data
        while rest:
            count = stream.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                raise CorruptSnapshotError(
                    f"{self.path} was cut off while it was read; log the model again"
                )
            rest = rest[count:]

    def _opened(self) -> IO[bytes]:
        stream = _open(self.path)
        if _identity(self.path, stream) != self.identity:
            stream.close()
            raise CorruptSnapshotError(
                f"{self.path} was changed while it was read; ask again, or log the model again"
            )
        return stream


def open_array(
    file: Path, dtype: np.dtype[Any], shape: tuple[int, ...], part: tuple[int, int] | None = None
) -> ArrayFile:
    """The array in `file`, which must have this type and shape; only its header is read.

    `part` is (offset, bytes) of an array that is not all of the file.

    Raises
    ------
    MissingAssetError
        If there is no such file.
    CorruptSnapshotError
        If it is no plain .npy file, or holds another array than that.
    """
    with _open(file) as stream:
        identity = _identity(file, stream)
        start, length = (0, identity[1]) if part is None else part
        header, offset = _header(file, stream, start)
    found = header["shape"]
    if (
        np.dtype(header["descr"]) != dtype
        or not isinstance(header["fortran_order"], bool)
        or found != shape
        or any(type(n) is not int for n in found)  # 4.0 and True equal integers
    ):
        raise CorruptSnapshotError(
            f"{file} holds {np.dtype(header['descr'])} {found!r:.100} and its index says "
            f"{dtype} {shape}"
        )
    if min(identity[1], start + length) < offset + math.prod(shape) * dtype.itemsize:
        raise CorruptSnapshotError(f"{file} is cut off; log the model again")
    columns_first = header["fortran_order"] and len(shape) > 1
    size = math.prod(shape) * dtype.itemsize
    if columns_first and (math.prod(shape[1:]) > _MAX_COLUMNS or size > _MAX_COPIED):
        raise CorruptSnapshotError(
            f"{file} is in Fortran order and too large to be copied; save it in C order "
            f"(numpy.ascontiguousarray)"
        )
    return ArrayFile(file, identity, dtype, shape, offset, columns_first)


def _open(file: Path) -> IO[bytes]:
    try:
        return open_regular(file)
    except OSError as error:
        raise MissingAssetError(
            f"{file} cannot be read ({error.strerror}); copy the whole run directory, or log the "
            f"model again"
        ) from error


def _identity(file: Path, stream: IO[bytes]) -> Identity:
    """`file_identity` of the open file, which a new one of its name may have replaced."""
    return identity_of(file, os.fstat(stream.fileno()))


def _header(file: Path, stream: IO[bytes], start: int) -> tuple[dict[str, Any], int]:
    """What stands before the values, and where it ends: a literal, of which nothing is executed."""
    stream.seek(start)
    beginning = stream.read(12)
    size, behind = 0, 0
    if beginning[:8] == b"\x93NUMPY\x01\x00":
        size, behind = int.from_bytes(beginning[8:10], "little"), 10
    elif beginning[:8] == b"\x93NUMPY\x02\x00":
        size, behind = int.from_bytes(beginning[8:12], "little"), 12
    stream.seek(start + behind)
    try:
        if not 0 < size <= _MAX_HEADER:
            raise ValueError(f"a header of {size} bytes")
        header = ast.literal_eval(stream.read(size).decode("latin1"))
        if (
            not isinstance(header, dict)
            or set(header) != {"descr", "fortran_order", "shape"}
            or not isinstance(header["descr"], str)
            or not isinstance(header["shape"], tuple)
        ):
            raise ValueError("another header")
        np.dtype(header["descr"])
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise CorruptSnapshotError(f"{file} is no plain .npy array ({error!s:.200})") from error
    return header, start + behind + size


def stored_array(asset: Asset, run_dir: str, dtype: str, shape: tuple[int, ...]) -> ArrayFile:
    """The array of an asset, verified.

    Raises
    ------
    MissingAssetError, CorruptSnapshotError
        If the file is not there, or not what was logged.
    """
    part = None if asset.offset is None else (asset.offset, asset.bytes)
    array = open_array(asset.verify(run_dir), np.dtype(dtype), shape, part)
    asset.verify(run_dir)  # the same file, and none that came in between
    return array

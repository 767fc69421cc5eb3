"""Event files, written without TensorFlow; `disk.records` says how they are read."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

from tb_modelcompare.log.assets import writing_to
from tb_modelcompare.log.checksum import masked_crc32c
from tb_modelcompare.log.format import PLUGIN_NAME, summary_metadata

# Event files of this process are numbered in the order in which they begin.
file_numbers = itertools.count()


class EventFile:
    """Event files being written: every record is on the disk when `write` returns.

    A record that could not be written whole is cut off again. The next one then begins another
    file, as a reader may have seen a part of the first.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._descriptor: int | None = None
        self._end = 0

    def write(self, event: Any) -> None:
        """Append one `Event` protocol buffer.

        Raises
        ------
        LogDirectoryError
            If it is not on the disk; what was written before is.
        """
        self.begin()
        with writing_to(self._run_dir):
            self._append(event)

    def begin(self) -> None:
        """Begin the file, if it is not begun: a directory is a run once there is one.

        Raises
        ------
        LogDirectoryError
            If it cannot be made.
        """
        if self._descriptor is None:
            with writing_to(self._run_dir):
                self._open()

    def close(self) -> None:
        """Close the file. Idempotent; a later record would begin another file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        from tensorboard.compat.proto import event_pb2

        self._run_dir.mkdir(parents=True, exist_ok=True)
        # TensorBoard takes what it reads last, and reads a run's files in order of their names.
        file = self._run_dir / (
            f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
            f".{os.getpid()}.{next(file_numbers):06d}.{PLUGIN_NAME}"
        )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor, self._end = os.open(file, flags, 0o666), 0
        try:
            self._append(event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2"))
        except OSError:
            file.unlink()
            raise

    def _append(self, event: Any) -> None:
        assert self._descriptor is not None
        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        record = b"".join((length, _checksum(length), data, _checksum(data)))
        try:
            rest = memoryview(record)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
            self._end += len(record)
        except BaseException:  # an interrupt leaves no part of a record either
            descriptor, self._descriptor = self._descriptor, None
            try:
                os.ftruncate(descriptor, self._end)
            finally:
                os.close(descriptor)
            raise


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(data))


def index_event(tag: str, step: int, wall_time: float, text: str) -> Any:
    """The event that carries an index record."""
    return string_event(tag, step, wall_time, text.encode(), summary_metadata())


def string_event(tag: str, step: int, wall_time: float, text: bytes, metadata: Any) -> Any:
    """An event with one scalar string tensor."""
    from tensorboard.compat.proto import (
        event_pb2,
        summary_pb2,
        tensor_pb2,
        tensor_shape_pb2,
        types_pb2,
    )

    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(),
        string_val=[text],
    )
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
    return event_pb2.Event(
        wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=[value])
    )

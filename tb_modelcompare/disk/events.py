"""Event files, read and written without TensorFlow.

The framing of a record is: length (uint64), masked CRC-32C of the length, data, masked
CRC-32C of the data, all little-endian. Records of other plugins may be large and many: they
are passed over without being parsed.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tb_modelcompare.disk.checksum import masked_crc32c
from tb_modelcompare.metadata import MAX_INDEX_BYTES, PLUGIN_NAME, summary_metadata

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_counter = itertools.count()


@dataclass(frozen=True)
class IndexRecord:
    """An index as it stood in an event."""

    tag: str
    step: int
    wall_time: float
    text: bytes


@dataclass(frozen=True)
class EventScan:
    """What was found up to `offset`, where reading goes on once the file has grown."""

    records: tuple[IndexRecord, ...]
    offset: int
    problem: str | None


def read_index_records(file: Path, offset: int = 0) -> EventScan:
    """Our index records of one event file, from `offset` on.

    A record that is cut off, as by a writer that was killed or is at work, ends the reading
    and is reported as a problem; so does a record whose checksum is wrong.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as short_crc32c

    found: list[IndexRecord] = []
    size = file.stat().st_size
    with open(file, "rb") as stream:
        stream.seek(offset)
        while header := stream.read(_HEADER.size):
            if len(header) < _HEADER.size:
                return EventScan(tuple(found), offset, "ends in the middle of a record")
            length, check = _HEADER.unpack(header)
            if check != short_crc32c(header[:8]):
                return EventScan(tuple(found), offset, "is damaged: a record's checksum is wrong")
            end = offset + _HEADER.size + length + _FOOTER.size
            if end > size:
                return EventScan(tuple(found), offset, "ends in the middle of a record")
            if length <= MAX_INDEX_BYTES + 4096:
                data = stream.read(length)
                if PLUGIN_NAME.encode() in data:
                    if masked_crc32c(data) != _FOOTER.unpack(stream.read(_FOOTER.size))[0]:
                        problem = "is damaged: a record's checksum is wrong"
                        return EventScan(tuple(found), offset, problem)
                    found.extend(_index_records(data))
            offset = end
            stream.seek(offset)
    return EventScan(tuple(found), offset, None)


def _index_records(data: bytes) -> list[IndexRecord]:
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import event_pb2

    event = event_pb2.Event()
    try:
        event.ParseFromString(data)
    except DecodeError:
        return []  # its checksum is right, so another program meant it so
    return [
        IndexRecord(value.tag, event.step, event.wall_time, b"".join(value.tensor.string_val))
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == PLUGIN_NAME
    ]


class EventFile:
    """An event file being written: every record is on the disk when `write` returns."""

    def __init__(self, run_dir: Path) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        run_dir.mkdir(parents=True, exist_ok=True)
        # TensorBoard takes what it reads last, and reads a run's files in order of their names.
        name = (
            f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
            f".{os.getpid()}.{next(_counter):06d}.{PLUGIN_NAME}"
        )
        self._stream = open(run_dir / name, "xb")  # noqa: SIM115 (closed by close)
        self._writer = RecordWriter(self._stream)
        self.write(event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, event: Any) -> None:
        """Append one `Event` protocol buffer."""
        self._writer.write(event.SerializeToString())
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file; nothing can be written afterwards."""
        self._stream.close()


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

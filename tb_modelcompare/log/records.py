"""Our index records in event files, read without TensorFlow.

The framing of a record is: length (uint64), masked CRC-32C of the length, data, masked
CRC-32C of the data, all little-endian. Records of other plugins may be large and many: they
are passed over without being parsed.
"""

from __future__ import annotations

import math
import os
import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from tb_modelcompare.log.checksum import masked_crc32c
from tb_modelcompare.log.format import ASSET_ROOT, MAX_INDEX_BYTES, PLUGIN_NAME
from tb_modelcompare.log.hashing import open_regular

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_FOLDER = re.compile(rf"{ASSET_ROOT}/snapshots/([^/\"\\]+)/".encode())

TORN = "ends in the middle of a record: its writer is at work on it, or was stopped"
DAMAGED = "is damaged: a record's checksum is wrong, and what comes after it cannot be read"


@dataclass(frozen=True)
class IndexRecord:
    """An index as it stood in an event.

    `folders` are the names of directories below `snapshots/` that the text mentions, be the
    index valid or not.
    """

    tag: str
    step: int
    text: bytes
    folders: frozenset[str]

    @classmethod
    def of(cls, tag: str, step: int, text: bytes) -> IndexRecord:
        """With its folders found."""
        folders = {name.decode(errors="replace") for name in _FOLDER.findall(text)}
        return cls(tag, step, text, frozenset(folders))


@dataclass(frozen=True)
class EventScan:
    """What was found up to `offset`, where reading goes on once the file has grown.

    `whole` says that it was read to its end, and that nothing was wrong with it.
    """

    records: tuple[IndexRecord, ...]
    offset: int
    problem: str | None = None
    whole: bool = True


def read_index_records(file: Path, offset: int = 0, deadline: float = math.inf) -> EventScan:
    """Our index records of one event file, from `offset` on.

    A record that is cut off, as by a writer that was killed or is at work, ends the reading
    and is reported as a problem; so does a record whose checksum is wrong. So does, without
    a problem, the time `deadline` (of `time.monotonic`), though one record is always read.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as short_crc32c

    found: list[IndexRecord] = []

    def ended(problem: str | None = None, whole: bool = False) -> EventScan:
        return EventScan(tuple(found), offset, problem, whole)

    with open_regular(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(offset)
        while header := stream.read(_HEADER.size):
            if len(header) < _HEADER.size:
                return ended(TORN)
            length, check = _HEADER.unpack(header)
            if check != short_crc32c(header[:8]):
                return ended(DAMAGED)
            end = offset + _HEADER.size + length + _FOOTER.size
            if end > size:
                return ended(TORN)
            if length <= MAX_INDEX_BYTES + 4096:
                data, footer = stream.read(length), stream.read(_FOOTER.size)
                if len(footer) < _FOOTER.size:  # it was cut off meanwhile
                    return ended(TORN)
                if PLUGIN_NAME.encode() in data:
                    if masked_crc32c(data) != _FOOTER.unpack(footer)[0]:
                        return ended(DAMAGED)
                    found.extend(_index_records(data))
            offset = end
            stream.seek(offset)
            if time.monotonic() >= deadline:
                return ended()
    return ended(whole=True)


def _index_records(data: bytes) -> list[IndexRecord]:
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto import event_pb2

    event = event_pb2.Event()
    try:
        event.ParseFromString(data)
    except DecodeError:
        return []  # its checksum is right, so another program meant it so
    return [
        IndexRecord.of(value.tag, event.step, b"".join(value.tensor.string_val))
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == PLUGIN_NAME
    ]

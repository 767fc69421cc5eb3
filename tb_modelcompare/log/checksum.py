"""CRC-32C of records. TensorBoard's goes byte by byte, which listing many snapshots waits for."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = np.uint32(0x82F63B78)
_LANE = 64
"""Bytes in each of the parts whose checksums are computed at the same time."""


def masked_crc32c(data: bytes) -> int:
    """The checksum that records carry, of at least four bytes.

    A checksum is linear: zeros before the data change nothing if it starts at 0, and that of a
    whole is that of its last part and, moved on by that part's length, that of what precedes.
    """
    # To start at all ones is to invert the first four bytes.
    inverted = bytes(255 - byte for byte in data[:4]) + data[4:]
    padded = inverted.rjust(-(-len(data) // _LANE) * _LANE, b"\0")
    lanes = np.frombuffer(padded, np.uint8).reshape(-1, _LANE)
    parts = np.zeros(len(lanes), np.uint32)
    for column in np.ascontiguousarray(lanes.T):
        parts = _moved_on(parts ^ column)
    first, second, third, last = _lane_tables()
    whole = 0
    for part in parts.tolist():
        whole = part ^ (
            first[whole & 255]
            ^ second[whole >> 8 & 255]
            ^ third[whole >> 16 & 255]
            ^ last[whole >> 24]
        )
    whole ^= 0xFFFFFFFF
    return int(((whole >> 15 | whole << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _moved_on(states: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """States after one more byte, which was added to their lowest."""
    return np.asarray(_byte_table()[states & np.uint32(255)] ^ (states >> np.uint32(8)))


@functools.cache
def _byte_table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (_POLYNOMIAL * (table & np.uint32(1)))
    return table


@functools.cache
def _lane_tables() -> list[list[int]]:
    """Of each of the four bytes of a state, where it has moved to after a lane of zeros."""
    states = np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)
    for _ in range(_LANE):
        states = _moved_on(states)
    return [list(map(int, table)) for table in states]

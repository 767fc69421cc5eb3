"""What a record of a log may claim, and the errors for one that claims more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.log.assets import Asset

# What a record may claim, so that no reader hashes a file without end. The header of a .npy
# file is at most a few hundred bytes.
MAX_JSON_BYTES = 64 * 2**20
_MAX_ARRAY_BYTES = 64 * 2**30
_MAX_SNAPSHOT_BYTES = 2**40
_MAX_HEADER_BYTES = 1024

_LAST_TIME = 250_000_000_000


def parse_json_asset(raw: Any, what: str, where: str) -> Asset:
    """A JSON file that an index names, which is read whole."""
    asset = Asset.from_json(raw, what)
    expect(
        asset.bytes <= MAX_JSON_BYTES,
        f"{where}: {what} of {asset.bytes} bytes is larger than {MAX_JSON_BYTES}; refused",
    )
    return asset


def expect_bounded(assets: Iterable[Asset], where: str) -> None:
    """Refuse a snapshot whose files claim more bytes than any that we would read."""
    claimed = sum(asset.bytes for asset in assets)
    expect(
        claimed <= _MAX_SNAPSHOT_BYTES,
        f"{where}: its files claim {claimed} bytes, more than {_MAX_SNAPSHOT_BYTES}; refused",
    )


def expect_apart(assets: Iterable[Asset], where: str) -> None:
    """Refuse files of which parts overlap: a part is another one's equal, or apart from it."""
    files: dict[str, dict[int | None, Asset]] = {}
    for asset in assets:
        parts = files.setdefault(asset.path, {})
        expect(
            parts.setdefault(asset.offset, asset) == asset,
            f"{where}: {asset.path!r:.200} is two different things",
        )
    for path, parts in files.items():
        expect(None not in parts or len(parts) == 1, f"{where}: {path!r:.200} is a part of itself")
        end = 0
        for offset, part in sorted((offset or 0, part) for offset, part in parts.items()):
            expect(offset >= end, f"{where}: parts of {path!r:.200} overlap")
            end = offset + part.bytes


def holds(asset: Asset, size: int) -> bool:
    """Whether a .npy file can hold exactly `size` bytes of values, and is not absurdly large."""
    return size <= _MAX_ARRAY_BYTES and 0 < asset.bytes - size <= _MAX_HEADER_BYTES


def expect(condition: bool, complaint: str) -> None:
    """Raise CorruptSnapshotError with `complaint` unless `condition`."""
    if not condition:
        raise CorruptSnapshotError(complaint)


def is_count(value: Any) -> bool:
    """Whether a JSON value is a whole number from 0, exact in every language."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def is_time(value: Any) -> bool:
    """Whether a JSON value is a time in seconds that calendars know, which end in the year 9999."""
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _LAST_TIME
    )

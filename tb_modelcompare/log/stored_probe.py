"""The probe of a snapshot, read from its files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import CorruptSnapshotError, ProbeError
from tb_modelcompare.log.arrays import ArrayFile, stored_array
from tb_modelcompare.log.assets import json_object
from tb_modelcompare.log.index import ProbeRecord
from tb_modelcompare.probe.identity import probe_id
from tb_modelcompare.probe.inputs import ARRAY_DTYPES
from tb_modelcompare.probe.probe import Probe


@dataclass(frozen=True, eq=False)
class StoredProbe:
    """A probe as a server needs it: its images stay in their file and are read one at a time.

    Attributes
    ----------
    names : tuple of str
        One per image.
    positions : array (rows, 2)
        As of `Probe`.
    images : ArrayFile (images, …)
    """

    names: tuple[str, ...]
    positions: npt.NDArray[np.float64]
    images: ArrayFile


def stored_probe(record: ProbeRecord, run_dir: str, of: str) -> StoredProbe:
    """The probe of the snapshot `of`, its images to be read one at a time.

    Raises
    ------
    MissingAssetError, CorruptSnapshotError
        If a file is not there, or not the probe whose id the record names.
    """
    stored = _files(record, run_dir, of)
    if record.is_of_images and stored.images.dtype.kind == "f":
        for image in stored.images:
            if not (image.min() >= 0.0 and image.max() <= 1.0):  # true for NaN as well
                raise CorruptSnapshotError(f"probe of {of} has pixels beyond [0, 1]")
    _require_own(record, probe_id(stored.images, stored.positions, record.is_of_images), of)
    return stored


def mapped_probe(record: ProbeRecord, run_dir: str, of: str) -> Probe:
    """The probe of the snapshot `of`, its images memory-mapped; raises as `stored_probe`."""
    stored = _files(record, run_dir, of)
    try:
        make = Probe if record.is_of_images else Probe.from_arrays
        probe = make(stored.images.mapped(), stored.positions, names=stored.names)
    except ProbeError as error:
        raise CorruptSnapshotError(f"probe of {of}: {error}") from error
    _require_own(record, probe.id, of)
    return probe


def names_and_type(record: ProbeRecord, run_dir: str, of: str) -> tuple[tuple[str, ...], str]:
    """The names of the probe's images and their type; raises as `stored_probe`."""
    meta = json_object(record.meta, run_dir, "probe")
    names, dtype = meta.get("names"), meta.get("dtype")
    if (
        dtype not in (("uint8", "float32") if record.is_of_images else ARRAY_DTYPES)
        or not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
        or len(names) != record.count
    ):
        raise CorruptSnapshotError(f"probe of {of} has bad names or dtype")
    return tuple(names), str(dtype)


def _files(record: ProbeRecord, run_dir: str, of: str) -> StoredProbe:
    names, dtype = names_and_type(record, run_dir, of)
    little = np.dtype(dtype).newbyteorder("<").str
    positions = stored_array(record.positions, run_dir, "<f8", (record.rows, 2))[:]
    if not (positions.min() >= 0.0 and positions.max() < 1.0):  # true for NaN as well
        raise CorruptSnapshotError(f"probe of {of} has positions beyond [0, 1)")
    images = stored_array(record.images, run_dir, little, (record.count, *record.item_shape))
    return StoredProbe(names, positions, images)


def _require_own(record: ProbeRecord, found: str, of: str) -> None:
    if found != record.id:
        raise CorruptSnapshotError(
            f"probe of {of} is not the one that its index names; log the model again"
        )

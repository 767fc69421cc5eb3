"""The probe of a snapshot, read from its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import CorruptSnapshotError, ProbeError
from tb_modelcompare.log.arrays import ArrayFile, stored_array
from tb_modelcompare.log.assets import json_object
from tb_modelcompare.log.probe_record import ProbeRecord
from tb_modelcompare.probe.identity import probe_id
from tb_modelcompare.probe.inputs import ARRAY_DTYPES
from tb_modelcompare.probe.labels import Labels, checked_labels
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.rows import is_image_of_row


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
    image_of_row : array (rows,)
        As of `Probe`.
    mask : array (images, length) or None
        As of `Probe`.
    """

    names: tuple[str, ...]
    positions: npt.NDArray[np.float64]
    images: ArrayFile
    image_of_row: npt.NDArray[np.intp]
    mask: npt.NDArray[np.bool_] | None


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
    ragged = None if record.image_of_row is None else stored.image_of_row
    found = probe_id(stored.images, stored.positions, record.is_of_images, ragged, stored.mask)
    _require_own(record, found, of)
    return stored


def mapped_probe(record: ProbeRecord, run_dir: str, of: str) -> Probe:
    """The probe of the snapshot `of`, its images memory-mapped; raises as `stored_probe`."""
    stored = _files(record, run_dir, of)
    labels = labels_of(record, run_dir, of)
    given: dict[str, Any] = {"names": stored.names, "image_of_row": stored.image_of_row}
    if labels is not None:
        given |= {"labels": labels.classes, "class_names": labels.names}
    if not record.is_of_images:
        given["mask"] = stored.mask
    make = Probe if record.is_of_images else Probe.from_arrays
    try:
        probe = make(stored.images.mapped(), stored.positions, **given)
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


def image_of_row(record: ProbeRecord, run_dir: str, of: str) -> npt.NDArray[np.intp]:
    """The number of the image of each row; raises as `stored_probe`."""
    if record.image_of_row is None:
        return np.repeat(np.arange(record.count), record.rows // record.count)
    found = stored_array(record.image_of_row, run_dir, "<i4", (record.rows,))[:]
    if not is_image_of_row(found, record.count):
        raise CorruptSnapshotError(f"probe of {of} has rows of no image, or images without a row")
    return found.astype(np.intp)


def labels_of(record: ProbeRecord, run_dir: str, of: str) -> Labels | None:
    """The class of each image; None where that was not logged. Raises as `stored_probe`."""
    if record.labels is None:
        return None
    meta = json_object(record.labels, run_dir, "labels")
    try:
        return checked_labels(meta.get("labels"), meta.get("class_names"), record.count)
    except ProbeError as error:
        raise CorruptSnapshotError(f"probe of {of}: {error}") from error


def _files(record: ProbeRecord, run_dir: str, of: str) -> StoredProbe:
    names, dtype = names_and_type(record, run_dir, of)
    little = np.dtype(dtype).newbyteorder("<").str
    positions = stored_array(record.positions, run_dir, "<f8", (record.rows, 2))[:]
    if not (positions.min() >= 0.0 and positions.max() < 1.0):  # true for NaN as well
        raise CorruptSnapshotError(f"probe of {of} has positions beyond [0, 1)")
    images = stored_array(record.images, run_dir, little, (record.count, *record.item_shape))
    mask = None
    if record.mask is not None:
        shape = record.count, record.item_shape[0]
        values = stored_array(record.mask, run_dir, "|u1", shape)[:]
        if values.max() > 1 or not values.any(axis=1).all():
            raise CorruptSnapshotError(f"probe of {of} has a bad mask")
        mask = values.astype(bool)
    return StoredProbe(names, positions, images, image_of_row(record, run_dir, of), mask)


def _require_own(record: ProbeRecord, found: str, of: str) -> None:
    if found != record.id:
        raise CorruptSnapshotError(
            f"probe of {of} is not the one that its index names; log the model again"
        )

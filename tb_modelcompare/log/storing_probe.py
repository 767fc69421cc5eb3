"""A probe onto the disk, once for each run.

Images, positions and mask follow from the probe's id. Names and labels do not, so that several
files of them may stand beside each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.log.assets import (
    Asset,
    assembling,
    describe,
    move_into,
    publish,
    write_json,
    writing_to,
)
from tb_modelcompare.log.format import ASSET_ROOT, PROBE_VERSION
from tb_modelcompare.log.probe_record import ProbeRecord
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.stored import (
    IMAGE_OF_ROW_FILE,
    IMAGES_FILE,
    LABELS,
    MASK_FILE,
    META_FILE,
    POSITIONS_FILE,
)


def store_probe(run_dir: Path, probe: Probe) -> ProbeRecord:
    """Write a probe below a run directory, unless it is there already, intact.

    Raises
    ------
    LogDirectoryError
        If it cannot be written; nothing of it is left then.
    """
    folder = f"{ASSET_ROOT}/probes/{probe.id[:16]}"
    with assembling(run_dir / ASSET_ROOT / "probes") as partial, writing_to(run_dir):
        arrays = {}
        for file, values in _arrays_of(probe).items():
            np.save(partial / file, values, allow_pickle=False)
            arrays[file] = describe(partial / file, f"{folder}/{file}")
        write_json(partial / META_FILE, _meta(probe))
        meta = describe(partial / META_FILE, f"{folder}/{META_FILE}")
        if not all(asset.is_intact(str(run_dir)) for asset in arrays.values()):
            publish(partial, run_dir / folder)
        elif not meta.is_intact(str(run_dir)):  # of the same images, by other names
            meta = _beside(partial / META_FILE, run_dir, folder, "probe")
        labels = None
        if probe.labels is not None:
            partial.mkdir(exist_ok=True)  # it may have been published
            classes, names = probe.labels.classes.tolist(), probe.labels.names
            write_json(partial / "labels", {"version": 1, "labels": classes, "class_names": names})
            labels = _beside(partial / "labels", run_dir, folder, LABELS)
    return ProbeRecord(
        id=probe.id,
        images=arrays[IMAGES_FILE],
        positions=arrays[POSITIONS_FILE],
        meta=meta,
        rows=probe.rows,
        positions_per_image=probe.positions_per_image,
        count=len(probe),
        item_shape=probe.images.shape[1:],
        is_of_images=probe.is_of_images,
        image_of_row=arrays.get(IMAGE_OF_ROW_FILE),
        mask=arrays.get(MASK_FILE),
        labels=labels,
    )


def _arrays_of(probe: Probe) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        IMAGES_FILE: probe.images,
        POSITIONS_FILE: probe.positions,
    }
    if probe.positions_per_image is None:
        arrays[IMAGE_OF_ROW_FILE] = probe.image_of_row.astype("<i4")
    if probe.mask is not None:
        arrays[MASK_FILE] = probe.mask.astype(np.uint8)
    return arrays


def _meta(probe: Probe) -> dict[str, Any]:
    dtype = probe.images.dtype.name
    return {"version": PROBE_VERSION, "id": probe.id, "dtype": dtype, "names": probe.names}


def _beside(file: Path, run_dir: Path, folder: str, stem: str) -> Asset:
    """A file of the probe that is called by its contents, moved there unless it is there."""
    found = describe(file, "")
    asset = Asset(f"{folder}/{stem}-{found.sha256[:8]}.json", found.bytes, found.sha256)
    if not asset.is_intact(str(run_dir)):
        move_into(file, run_dir / asset.path)
    return asset

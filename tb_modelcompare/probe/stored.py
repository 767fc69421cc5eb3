"""Probes in the directories of runs, read without the snapshots that were made on them."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ProbeError

if TYPE_CHECKING:
    from tb_modelcompare.probe.probe import Probe

PROBES_FOLDER = "plugins/modelcompare/probes"
IMAGES_FILE, POSITIONS_FILE, META_FILE = "images.npy", "positions.npy", "probe.json"
# Where images have different numbers of rows, where tokens are padding, where classes are known.
IMAGE_OF_ROW_FILE, MASK_FILE, LABELS = "image_of_row.npy", "mask.npy", "labels"
_MAX_META_BYTES = 64 * 2**20


def stored_probes(directory: Path) -> dict[str, list[Path]]:
    """Directories of the probes of a run, or of all runs below a directory, by their short ids."""
    found: dict[str, list[Path]] = {}
    for file in sorted(directory.glob(f"**/{PROBES_FOLDER}/*/{META_FILE}")):
        if not file.parent.name.startswith("."):
            found.setdefault(file.parent.name, []).append(file.parent)
    return found


def read_probe(run: Any, make: type[Probe]) -> Probe:
    """The probe that models of a run were shown; its pixels are memory-mapped.

    Raises
    ------
    ProbeError
        If there is none, or more than one, or it is damaged.
    """
    if not isinstance(run, (str, os.PathLike)) or not os.fspath(run):
        raise ProbeError(f"run is {run!r:.100}; give the directory of a run that holds a probe")
    root = Path(run).expanduser()
    if not root.is_dir():
        raise ProbeError(f"{root} is no directory; give the directory of a run")
    found = stored_probes(root)
    if not found:
        raise ProbeError(f"{root} holds no probe; give a directory that models were logged to")
    if len(found) > 1:
        where = "; ".join(f"{name} in {_run_of(paths[0])}" for name, paths in found.items())
        raise ProbeError(f"{root} holds {len(found)} probes: {where}; give one of these runs")
    ((folder, *_),) = found.values()
    return _read(folder, make)


def _run_of(folder: Path) -> Path:
    return folder.parents[3]


def _read(folder: Path, make: type[Probe]) -> Probe:
    try:
        _require_small(folder / META_FILE)
        meta = json.loads((folder / META_FILE).read_text("utf-8"))
        images = np.load(folder / IMAGES_FILE, mmap_mode="r", allow_pickle=False)
        positions = np.load(folder / POSITIONS_FILE, allow_pickle=False)
        given = {"names": meta["names"], "image_of_row": _optional(folder / IMAGE_OF_ROW_FILE)}
        mask = _optional(folder / MASK_FILE)
        given |= _labels(folder)
        identity = meta["id"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ProbeError(
            f"the probe in {folder} cannot be read ({error!s:.200}); take it from another run, or "
            f"make it again"
        ) from error
    tried = []
    makers = (make, make.from_arrays) if mask is None else (partial(make.from_arrays, mask=mask),)
    for of in makers:  # the id tells images from arrays
        try:
            probe = of(images, positions, **given)
        except ProbeError as error:
            tried.append(str(error))
            continue
        if probe.id == identity:
            return probe
    raise ProbeError(
        f"the probe in {folder} is not the one that was logged there; take it from another run "
        f"{tried[:1] or ''}".rstrip()
    )


def _optional(file: Path) -> npt.NDArray[Any] | None:
    """An array that not every probe has."""
    if not file.exists():
        return None
    found: npt.NDArray[Any] = np.load(file, allow_pickle=False)
    return found


def _labels(folder: Path) -> dict[str, Any]:
    """The labels that were logged last, as `Probe` takes them."""
    files = sorted(folder.glob(f"{LABELS}-*.json"), key=lambda file: file.stat().st_mtime)
    if not files:
        return {}
    _require_small(files[-1])
    meta = json.loads(files[-1].read_text("utf-8"))
    return {"labels": meta["labels"], "class_names": meta["class_names"]}


def _require_small(file: Path) -> None:
    if file.stat().st_size > _MAX_META_BYTES:
        raise ProbeError(f"{file} is too large to be a probe's")

"""One model at one step, as it was logged, and reading its files."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import (
    CorruptSnapshotError,
    NotRenderableError,
    ProbeError,
    UnknownSnapshotError,
    nearest,
)
from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.log.arrays import ArrayFile, open_array
from tb_modelcompare.log.assets import Asset
from tb_modelcompare.log.hashing import Identity
from tb_modelcompare.log.index import FrozenRecord, LayerRecord, ProbeRecord
from tb_modelcompare.log.text import parse_json
from tb_modelcompare.probe.identity import probe_id
from tb_modelcompare.probe.inputs import ARRAY_DTYPES
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe

_BLOCK_VALUES = 2**22

# Activation files in which no NaN or infinity was found, by file identity.
_finite: set[Identity] = set()


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


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A logged model at a step. Everything is checked on reading; nothing is unpickled.

    Attributes
    ----------
    id : str
        "RUN/NAME@STEP" ("/" and "%" in a name are percent-encoded there, so that no two
        snapshots share an id).
    run, name : str
        The run's directory below the log directory, and the model's name.
    step : int
        Of the training.
    wall_time : float
        When it was logged, in seconds since 1970.
    run_dir : str
    digest : str
        It changes exactly when the logged contents change.
    layers : tuple of LayerRecord
        In topological order.
    probe_record : ProbeRecord
    graph_asset : Asset
    frozen : FrozenRecord or None
        None if it was logged without its frozen graph.
    frozen_problem : str or None
        What kept a frozen graph from being logged.
    preprocessing : Preprocessing or None
        None if it is unknown.
    index : dict
        The record in the event file, as JSON values.
    """

    id: str
    run: str
    name: str
    step: int
    wall_time: float
    run_dir: str
    digest: str
    layers: tuple[LayerRecord, ...]
    probe_record: ProbeRecord
    graph_asset: Asset
    frozen: FrozenRecord | None
    frozen_problem: str | None
    preprocessing: Preprocessing | None
    index: dict[str, Any] = field(repr=False)

    @property
    def probe_id(self) -> str:
        """Id of the probe on which the activations were made."""
        return self.probe_record.id

    @property
    def why_no_frozen_graph(self) -> str:
        """Of a snapshot without one: what kept it from being logged."""
        return self.frozen_problem or "it was logged without one; use add_model(…, frozen=True)"

    @property
    def rows(self) -> int:
        """Rows of every activation matrix."""
        return self.probe_record.rows

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the logged layers, in topological order."""
        return tuple(layer.name for layer in self.layers)

    def layer(self, name: str) -> LayerRecord:
        """The record of one layer.

        Parameters
        ----------
        name : str
            Of a logged layer.

        Returns
        -------
        LayerRecord

        Raises
        ------
        UnknownSnapshotError
            If no such layer was logged, naming the nearest.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownSnapshotError(
            f"{self.id} has no layer {name!r}; {nearest(name, self.layer_names)}"
        )

    def activations(self, name: str) -> npt.NDArray[np.float32]:
        """The activations of one layer on the probe; size and digest are verified, all are finite.

        A process that has to go on where a file is cut off under it reads
        `stored_activations` instead.

        Parameters
        ----------
        name : str
            Of a logged layer.

        Returns
        -------
        array (rows, units), float32
            Memory-mapped, read-only.

        Raises
        ------
        UnknownSnapshotError
            If no such layer was logged.
        MissingAssetError, CorruptSnapshotError
            If the file is not there, or not what was logged.
        """
        return self.stored_activations(name).mapped()

    def stored_activations(self, name: str) -> ArrayFile:
        """The file of `activations`, checked in the same way, to be read in parts.

        Parameters
        ----------
        name : str
            Of a logged layer.

        Returns
        -------
        ArrayFile

        Raises
        ------
        UnknownSnapshotError, MissingAssetError, CorruptSnapshotError
            As `activations`.
        """
        layer = self.layer(name)
        array = self._stored(layer.asset, "<f4", (layer.rows, layer.units))
        if array.identity not in _finite:
            _require_finite(array, f"{self.id} layer {name!r}")
            _finite.add(array.identity)
        return array

    def all_activations(self) -> dict[str, npt.NDArray[np.float32]]:
        """`activations` of every layer, by name in topological order.

        Returns
        -------
        dict of str to array (rows, units)
        """
        return {layer.name: self.activations(layer.name) for layer in self.layers}

    def graph(self) -> LayerGraph:
        """The layer graph.

        Returns
        -------
        LayerGraph

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            If its file is not there, or not what was logged.
        """
        return LayerGraph.from_json(_load_json(self.graph_asset, self.run_dir, "layer graph"))

    def probe(self) -> Probe:
        """The probe; its pixels are memory-mapped.

        Returns
        -------
        Probe

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            If a file is not there, or not the probe whose id the snapshot names.
        """
        stored = self._probe_files()
        try:
            make = Probe if self.probe_record.is_of_images else Probe.from_arrays
            probe = make(stored.images.mapped(), stored.positions, names=stored.names)
        except ProbeError as error:
            raise CorruptSnapshotError(f"probe of {self.id}: {error}") from error
        self._require_own_probe(probe.id)
        return probe

    def stored_probe(self) -> StoredProbe:
        """The probe, its images to be read one at a time.

        Returns
        -------
        StoredProbe

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            As `probe`.
        """
        stored = self._probe_files()
        of_images = self.probe_record.is_of_images
        if of_images and stored.images.dtype.kind == "f":
            for image in stored.images:
                if not (image.min() >= 0.0 and image.max() <= 1.0):  # true for NaN as well
                    raise CorruptSnapshotError(f"probe of {self.id} has pixels beyond [0, 1]")
        self._require_own_probe(probe_id(stored.images, stored.positions, of_images))
        return stored

    def _probe_files(self) -> StoredProbe:
        record = self.probe_record
        meta = _load_json(record.meta, self.run_dir, "probe")
        names, dtype = meta.get("names"), meta.get("dtype")
        if (
            dtype not in (("uint8", "float32") if record.is_of_images else ARRAY_DTYPES)
            or not isinstance(names, list)
            or not all(isinstance(name, str) for name in names)
            or len(names) != record.count
        ):
            raise CorruptSnapshotError(f"probe of {self.id} has bad names or dtype")
        little = np.dtype(dtype).newbyteorder("<").str
        positions = self._stored(record.positions, "<f8", (record.rows, 2))[:]
        if not (positions.min() >= 0.0 and positions.max() < 1.0):  # true for NaN as well
            raise CorruptSnapshotError(f"probe of {self.id} has positions beyond [0, 1)")
        images = self._stored(record.images, little, (record.count, *record.item_shape))
        return StoredProbe(tuple(names), positions, images)

    def _require_own_probe(self, found: str) -> None:
        if found != self.probe_id:
            raise CorruptSnapshotError(
                f"probe of {self.id} is not the one that its index names; log the model again"
            )

    def _stored(self, asset: Asset, dtype: str, shape: tuple[int, ...]) -> ArrayFile:
        """The array of an asset, verified."""
        array = open_array(asset.verify(self.run_dir), np.dtype(dtype), shape)
        asset.verify(self.run_dir)  # the same file, and none that came in between
        return array

    def frozen_graph_path(self) -> Path:
        """The frozen graph's file, verified. Running it is for a worker process alone.

        Returns
        -------
        Path

        Raises
        ------
        NotRenderableError
            If none was logged, saying why.
        MissingAssetError, CorruptSnapshotError
            If the file is not there, or not what was logged.
        """
        if self.frozen is None:
            raise NotRenderableError(f"{self.id} has no frozen graph: {self.why_no_frozen_graph}")
        return self.frozen.asset.verify(self.run_dir)

    def has_activations(self) -> bool:
        """Whether files of those names are there, as far as their directories say.

        Returns
        -------
        bool
        """
        paths = {posixpath.split(layer.asset.path) for layer in self.layers}
        try:
            there = {
                (folder, name)
                for folder in {folder for folder, _ in paths}
                for name in os.listdir(os.path.join(self.run_dir, folder))
            }
        except OSError:
            return False
        return paths <= there


def _load_json(asset: Asset, run_dir: str, what: str) -> Any:
    content = asset.read(run_dir)
    try:
        value = parse_json(content)
    except ValueError as error:
        raise CorruptSnapshotError(f"{what} {asset.path} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise CorruptSnapshotError(f"{what} {asset.path} is not a JSON object")
    return value


def _require_finite(array: ArrayFile, what: str) -> None:
    step = max(1, _BLOCK_VALUES // array.shape[1])
    for start in range(0, len(array), step):
        if not np.isfinite(array[start : start + step]).all():
            raise CorruptSnapshotError(
                f"{what} holds NaN or infinity, on which no measure is defined; log it again"
            )

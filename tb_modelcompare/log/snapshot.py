"""One model at one step, as it was logged, and reading its files."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import (
    CorruptSnapshotError,
    NotRenderableError,
    UnknownSnapshotError,
    nearest,
)
from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.log import stored_probe as probes
from tb_modelcompare.log.arrays import ArrayFile, stored_array
from tb_modelcompare.log.assets import Asset, json_object
from tb_modelcompare.log.direction import Direction, unit_direction, weighted_direction
from tb_modelcompare.log.finite import require_finite
from tb_modelcompare.log.index import FrozenRecord, LayerRecord, StrongestRecord
from tb_modelcompare.log.layer import Layer
from tb_modelcompare.log.probe_record import ProbeRecord
from tb_modelcompare.log.stored_probe import StoredProbe
from tb_modelcompare.log.strongest import Strongest
from tb_modelcompare.probe.labels import Labels
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe


@dataclass(frozen=True, eq=False, repr=False)
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
    strongest_record : StrongestRecord or None
        None if no layer was logged with its strongest images.
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
    strongest_record: StrongestRecord | None
    probe_record: ProbeRecord
    graph_asset: Asset
    frozen: FrozenRecord | None
    frozen_problem: str | None
    preprocessing: Preprocessing | None
    index: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Snapshot {self.id}: {len(self.layers)} layers, {self.rows} rows>"

    @property
    def folder(self) -> str:
        """The directory of what was logged with it, relative to `run_dir`."""
        return posixpath.dirname(self.graph_asset.path)

    @property
    def assets(self) -> list[Asset]:
        """Every file that it is made of, or part of one, be it in another snapshot's directory."""
        own = [self.graph_asset, *(layer.asset for layer in self.layers)]
        frozen = [] if self.frozen is None else [self.frozen.asset]
        strongest = () if self.strongest_record is None else self.strongest_record.assets
        return [*own, *frozen, *strongest, *self.probe_record.assets]

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

    def layer(self, name: str) -> Layer:
        """One layer.

        Parameters
        ----------
        name : str
            Of a logged layer.

        Returns
        -------
        Layer
            Its record, and its activations, covariance and whitening.

        Raises
        ------
        UnknownSnapshotError
            If no such layer was logged, naming the nearest.
        """
        for record in self.layers:
            if record.name == name:
                return Layer.of(record, self)
        raise UnknownSnapshotError(
            f"{self.id} has no layer {name!r}; {nearest(name, self.layer_names)}"
        )

    def unit(self, layer: str, number: int) -> Direction:
        """One unit of a layer, as a direction.

        Parameters
        ----------
        layer : str
            Of a logged layer.
        number : int
            From 0.

        Returns
        -------
        Direction
            ``snapshot.unit("mixed4a", 17) - snapshot.unit("mixed4a", 5)`` is one as well.

        Raises
        ------
        UnknownSnapshotError
            If there is no such layer or unit.
        """
        return unit_direction(self, layer, number)

    def direction(self, layer: str, weights: npt.ArrayLike, name: str | None = None) -> Direction:
        """Any direction of a layer.

        Parameters
        ----------
        layer : str
            Of a logged layer.
        weights : array (units,)
            One for each unit of the layer.
        name : str, optional
            What it is called in captions.

        Returns
        -------
        Direction

        Raises
        ------
        UnknownSnapshotError
            If there is no such layer.
        ActivationError
            If there is not one finite weight for each unit, or if all are 0.
        """
        return weighted_direction(self, layer, weights, name)

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
            Read-only; memory-mapped where it was logged as float32.

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
        dtype = np.dtype(layer.dtype).newbyteorder("<").str
        array = self._stored(layer.asset, dtype, (layer.rows, layer.units))
        require_finite(array, f"{self.id} layer {name!r}")
        return array

    def all_activations(self) -> dict[str, npt.NDArray[np.float32]]:
        """`activations` of every layer, by name in topological order.

        Returns
        -------
        dict of str to array (rows, units)
        """
        return {layer.name: self.activations(layer.name) for layer in self.layers}

    def strongest(self, name: str) -> Strongest | None:
        """On which images each unit of a layer is most active, over all positions of its map.

        Parameters
        ----------
        name : str
            Of a logged layer.

        Returns
        -------
        Strongest or None
            None if that was not logged: by former versions, for activations that were computed
            elsewhere, and for layers without a map, of which `activations` says it.

        Raises
        ------
        UnknownSnapshotError, MissingAssetError, CorruptSnapshotError
            As `activations`.
        """
        layer, record = self.layer(name), self.strongest_record
        if record is None or layer.strongest is None or layer.spatial is None:
            return None
        shape = (record.units, record.per_unit)
        begin, end = layer.strongest, layer.strongest + layer.units
        found = Strongest(
            self._stored(record.values, "<f4", shape)[begin:end],
            self._stored(record.images, "<i4", shape)[begin:end],
            self._stored(record.cells, "<i4", shape)[begin:end],
            self._stored(record.tied, "<i4", shape[:1])[begin:end],
        )
        if not found.is_of(self.probe_record.count, layer.spatial):
            raise CorruptSnapshotError(
                f"{self.id} layer {name!r} names images or positions that there are not; log it "
                f"again"
            )
        return found

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
        return LayerGraph.from_json(json_object(self.graph_asset, self.run_dir, "layer graph"))

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
        return probes.mapped_probe(self.probe_record, self.run_dir, self.id)

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
        return probes.stored_probe(self.probe_record, self.run_dir, self.id)

    def probe_names(self) -> tuple[str, ...]:
        """The names of the probe's images, without reading any of them.

        Returns
        -------
        tuple of str

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            As `probe`.
        """
        return probes.names_and_type(self.probe_record, self.run_dir, self.id)[0]

    def image_of_row(self) -> npt.NDArray[np.intp]:
        """The number of the image of each row; rows of one image are not independent.

        Returns
        -------
        array (rows,)
            From 0, in order.

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            As `probe`.
        """
        return probes.image_of_row(self.probe_record, self.run_dir, self.id)

    def labels(self) -> Labels | None:
        """The class of each of the probe's images, and what the classes are called.

        Returns
        -------
        Labels or None
            None where the probe was logged without labels.

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            As `probe`.
        """
        return probes.labels_of(self.probe_record, self.run_dir, self.id)

    def _stored(self, asset: Asset, dtype: str, shape: tuple[int, ...]) -> ArrayFile:
        return stored_array(asset, self.run_dir, dtype, shape)

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
        """Whether files of those names are there; their contents are not looked at.

        Returns
        -------
        bool
        """
        paths = {self.graph_asset.path, *(layer.asset.path for layer in self.layers)}
        return all(os.path.exists(os.path.join(self.run_dir, path)) for path in paths)

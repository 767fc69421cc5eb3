"""`SummaryWriter`: logs what models compute on a probe."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.assets import assembling, describe, publish, slug
from tb_modelcompare.errors import (
    ActivationError,
    CorruptSnapshotError,
    LogDirectoryError,
    MissingAssetError,
    ModelCompareError,
)
from tb_modelcompare.events import EventFile, index_event
from tb_modelcompare.graph import LayerGraph, Node
from tb_modelcompare.metadata import ASSET_ROOT, MAX_INDEX_BYTES, MAX_LAYERS, RECORD_VERSION
from tb_modelcompare.probe import Probe
from tb_modelcompare.snapshot import (
    ACTIVATION_DTYPE,
    LayerRecord,
    ProbeRecord,
    content_digest,
)
from tb_modelcompare.store import local_directory

Spatial = tuple[int, int] | None


class SummaryWriter:
    """Logs models' activations on one probe to a run directory.

    Parameters
    ----------
    logdir : path
        The run's directory; made if needed. Other writers may log to it too.
    probe : Probe
        What every model is shown; stored once per log directory and probe.

    Use it as a context manager, or call `close`. A snapshot is visible to readers, whole,
    when the call that logged it returns; one that is interrupted leaves no trace in a listing.
    """

    def __init__(self, logdir: str | Path, probe: Probe) -> None:
        self._run_dir = local_directory(logdir)
        if self._run_dir.exists() and not self._run_dir.is_dir():
            raise LogDirectoryError(f"{self._run_dir} is a file; give a directory to log to")
        if not isinstance(probe, Probe):
            raise ModelCompareError(f"probe is a {type(probe).__name__}; give a Probe")
        self._probe = probe
        self._probe_record: ProbeRecord | None = None
        self._events: EventFile | None = None
        self._closed = False

    def add_activations(
        self,
        name: str,
        activations: Mapping[str, npt.ArrayLike],
        step: int = 0,
        graph: LayerGraph | None = None,
    ) -> None:
        """Log activations that were computed elsewhere, by any framework.

        Parameters
        ----------
        name : str
            The model's name.
        activations : mapping of layer name to array (rows, units)
            In the order of the layers; row r is at the probe's position r. Kept as float32.
        step : int
            Of training.
        graph : LayerGraph, optional
            Its nodes called as the layers are marked as logged. A chain if left out.

        Raises
        ------
        ActivationError
            If an array has another shape than (probe.rows, units), is not of real numbers,
            or holds NaN, infinity or values beyond float32.
        """
        if not activations:
            raise ActivationError("no activations; give at least one layer")
        batches = [{layer: _as_matrix(layer, array) for layer, array in activations.items()}]
        layers = tuple(activations)
        self._log(name, step, layers, batches, graph or _chain(batches[0]))

    def flush(self) -> None:
        """Nothing is held back: a snapshot is on the disk once logged."""

    def close(self) -> None:
        """Close the event file. Idempotent."""
        self._closed = True
        if self._events is not None:
            self._events.close()
            self._events = None

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _log(
        self,
        name: str,
        step: int,
        layers: Sequence[str],
        batches: Iterable[Mapping[str, npt.NDArray[np.float32]]],
        graph: LayerGraph,
    ) -> None:
        _check_name(name, step)
        if self._closed:
            raise ModelCompareError("this SummaryWriter is closed; make another")
        if len(layers) > MAX_LAYERS:
            raise ActivationError(f"{len(layers)} layers; log at most {MAX_LAYERS}")
        probe = self._store_probe()
        parent = self._run_dir / ASSET_ROOT / "snapshots"
        with assembling(parent) as partial:
            units = _write_activations(partial, layers, self._probe.rows, batches)
            _write_json(partial / "graph.json", _mark_logged(graph, layers).to_json())
            index: dict[str, Any] = {
                "version": RECORD_VERSION,
                "name": name,
                "step": step,
                "wall_time": time.time(),
                "probe": probe.to_json(),
                "layers": [
                    LayerRecord(
                        name=layer,
                        units=units[i],
                        rows=self._probe.rows,
                        dtype=ACTIVATION_DTYPE,
                        asset=describe(partial / _layer_file(i), _layer_file(i)),
                        spatial=None,
                    ).to_json()
                    for i, layer in enumerate(layers)
                ],
                "graph": describe(partial / "graph.json", "graph.json").to_json(),
                "frozen": None,
                "preprocessing": None,
            }
            index["digest"] = content_digest(index)
            folder = f"{slug(name)}-{step}-{index['digest'][:8]}"
            for asset in _own_assets(index):
                asset["path"] = f"{ASSET_ROOT}/snapshots/{folder}/{asset['path']}"
            text = json.dumps(index, separators=(",", ":"), allow_nan=False)
            if len(text) > MAX_INDEX_BYTES:
                raise ActivationError(f"an index of {len(text)} bytes; log fewer layers")
            publish(partial, parent / folder)
        if self._events is None:
            self._events = EventFile(self._run_dir)
        self._events.write(index_event(name, step, index["wall_time"], text))

    def _store_probe(self) -> ProbeRecord:
        if self._probe_record is not None:
            return self._probe_record
        probe = self._probe
        parent = self._run_dir / ASSET_ROOT / "probes"
        folder = f"{ASSET_ROOT}/probes/{probe.id[:16]}"
        with assembling(parent) as partial:
            np.save(partial / "images.npy", probe.images, allow_pickle=False)
            np.save(partial / "positions.npy", probe.positions, allow_pickle=False)
            meta = {
                "version": RECORD_VERSION,
                "id": probe.id,
                "dtype": probe.images.dtype.name,
                "names": probe.names,
            }
            _write_json(partial / "probe.json", meta)
            images, positions, described = (
                describe(partial / file, f"{folder}/{file}")
                for file in ("images.npy", "positions.npy", "probe.json")
            )
            record = ProbeRecord(
                id=probe.id,
                images=images,
                positions=positions,
                meta=described,
                rows=probe.rows,
                positions_per_image=probe.positions_per_image,
                count=len(probe),
                image_shape=(probe.images.shape[1], probe.images.shape[2], probe.images.shape[3]),
            )
            try:
                for asset in (images, positions, described):
                    asset.verify(str(self._run_dir))
            except (MissingAssetError, CorruptSnapshotError):
                publish(partial, self._run_dir / folder)
        self._probe_record = record
        return record


def _check_name(name: str, step: int) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > 200 or not name.isprintable():
        raise ModelCompareError(f"name is {name!r:.250}; give 1 to 200 printable characters")
    if not isinstance(step, (int, np.integer)) or not 0 <= step < 2**53:
        raise ModelCompareError(f"step is {step!r}; give a whole number from 0")


def _layer_file(index: int) -> str:
    return f"{index:04d}.npy"


def _own_assets(index: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for layer in index["layers"]:
        yield layer["asset"]
    yield index["graph"]
    if index["frozen"]:
        yield index["frozen"]["asset"]


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, separators=(",", ":"), allow_nan=False), encoding="utf-8")


def _write_activations(
    directory: Path,
    layers: Sequence[str],
    rows: int,
    batches: Iterable[Mapping[str, npt.NDArray[np.float32]]],
) -> list[int]:
    """Fill one .npy per layer batch by batch; gives each layer's number of units."""
    files: dict[str, Any] = {}
    start = 0
    for batch in batches:
        if not files:
            for i, layer in enumerate(layers):
                files[layer] = np.lib.format.open_memmap(
                    directory / _layer_file(i), "w+", np.dtype("<f4"), (rows, batch[layer].shape[1])
                )
        end = start + len(batch[layers[0]])
        for layer in layers:
            block = batch[layer]
            if not np.isfinite(block).all():
                raise ActivationError(
                    f"layer {layer!r} gives NaN or infinity (rows {start} to {end}); check the "
                    f"preprocessing, or compute in float32 rather than float16"
                )
            if end > rows or len(block) != end - start:
                raise ActivationError(
                    f"layer {layer!r} has {start + len(block)} rows and the probe {rows}; "
                    f"give one row per position of the probe"
                )
            files[layer][start:end] = block
        start = end
    if start != rows:
        raise ActivationError(f"{start} rows of activations and the probe has {rows}")
    return [files[layer].shape[1] for layer in layers]


def _as_matrix(layer: str, array: npt.ArrayLike) -> npt.NDArray[np.float32]:
    if not isinstance(layer, str) or not 0 < len(layer) <= 1024:
        raise ActivationError(f"layer name {layer!r:.100} is not a string of 1 to 1024 characters")
    values = np.asarray(array)
    if values.dtype.kind not in "fiub":
        raise ActivationError(f"layer {layer!r} holds {values.dtype}; give real numbers")
    if values.ndim != 2 or values.shape[1] == 0:
        raise ActivationError(
            f"layer {layer!r} has shape {values.shape}; give (rows, units), sampled at the "
            f"probe's positions"
        )
    with np.errstate(over="ignore"):  # beyond float32 becomes infinity, which is refused later
        return np.asarray(values, dtype=np.float32)


def _chain(activations: Mapping[str, npt.NDArray[np.float32]]) -> LayerGraph:
    nodes: list[Node] = []
    for layer, array in activations.items():
        units = array.shape[1]
        inputs = (nodes[-1].name,) if nodes else ()
        nodes.append(Node(layer, "Activations", inputs, (units,), units, True, layer))
    return LayerGraph(tuple(nodes))


def _mark_logged(graph: LayerGraph, layers: Sequence[str]) -> LayerGraph:
    there = {node.name for node in graph.nodes}
    missing = [layer for layer in layers if layer not in there]
    if missing:
        raise ActivationError(
            f"the graph has no node {missing[0]!r}; name the layers as its nodes are named"
        )
    logged = set(layers)
    nodes = tuple(replace(node, logged=node.name in logged) for node in graph.nodes)
    return LayerGraph(nodes, graph.blocks)

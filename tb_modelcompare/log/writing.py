"""Snapshots onto the disk: assets first, whole directories at once, then the index's text."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tb_modelcompare.capture.contract import FrozenGraph
from tb_modelcompare.errors import ActivationError, CorruptSnapshotError, MissingAssetError
from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.log.assets import assembling, describe, publish, slug, writing_to
from tb_modelcompare.log.format import (
    ARRAYS_VERSION,
    ASSET_ROOT,
    MAX_INDEX_BYTES,
    MAX_LAYERS,
    RECORD_VERSION,
)
from tb_modelcompare.log.index import (
    ACTIVATION_DTYPE,
    FrozenRecord,
    LayerRecord,
    ProbeRecord,
    content_digest,
)
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.sampling import Sampled, Spatial

_NAMED = 10  # layers in one message


def store_probe(run_dir: Path, probe: Probe) -> ProbeRecord:
    """Write a probe below a run directory, unless it is there already, intact.

    Raises
    ------
    LogDirectoryError
        If it cannot be written; nothing of it is left then.
    """
    folder = f"{ASSET_ROOT}/probes/{probe.id[:16]}"
    with assembling(run_dir / ASSET_ROOT / "probes") as partial, writing_to(run_dir):
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
        try:
            for asset in (images, positions, described):
                asset.verify(str(run_dir))
        except (MissingAssetError, CorruptSnapshotError):
            publish(partial, run_dir / folder)
    return ProbeRecord(
        id=probe.id,
        images=images,
        positions=positions,
        meta=described,
        rows=probe.rows,
        positions_per_image=probe.positions_per_image,
        count=len(probe),
        item_shape=probe.images.shape[1:],
        is_of_images=probe.is_of_images,
    )


def write_snapshot(
    run_dir: Path,
    probe: ProbeRecord,
    name: str,
    step: int,
    layers: Sequence[str],
    batches: Iterable[Sequence[Sampled]],
    graph: LayerGraph,
    *,
    frozen: FrozenGraph | None = None,
    frozen_problem: str | None = None,
    preprocessing: Preprocessing | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write all assets of a snapshot.

    `batches` give, for consecutive rows, one `Sampled` per layer.

    Returns
    -------
    index : dict
        Still to be recorded.
    left_out : dict of str to str
        Layers that hold NaN or infinity, and where. They have no activations in the snapshot,
        and stay in its graph.

    Raises
    ------
    ActivationError
        If rows are missing or too many, or no layer is finite.
    LogDirectoryError
        If the files cannot be written; none of them is left then.
    """
    if len(layers) > MAX_LAYERS:
        raise ActivationError(f"{len(layers)} layers; log at most {MAX_LAYERS}")
    parent = run_dir / ASSET_ROOT / "snapshots"
    with assembling(parent) as partial:
        shapes, left_out = _write_activations(partial, layers, probe.rows, batches)
        kept = [(i, layer) for i, layer in enumerate(layers) if layer not in left_out]
        if not kept:
            raise ActivationError(f"no layer is finite: {describe_left_out(left_out)}")
        _require_nodes(graph, layers)
        _write_json(
            partial / "graph.json", _mark_logged(graph, {name for _, name in kept}).to_json()
        )
        frozen_record = None
        if frozen is not None:
            with writing_to(partial):
                (partial / "frozen.pb").write_bytes(frozen.graph_def)
            frozen_record = FrozenRecord(
                describe(partial / "frozen.pb", "frozen.pb"),
                frozen.input,
                frozen.input_shape,
                {name: t for name, t in frozen.tensors.items() if name not in left_out},
            )
        index: dict[str, Any] = {
            "version": RECORD_VERSION if probe.is_of_images else ARRAYS_VERSION,
            "name": name,
            "step": step,
            "wall_time": time.time(),
            "probe": probe.to_json(),
            "layers": [
                LayerRecord(
                    name=layer,
                    units=shapes[i][0],
                    rows=probe.rows,
                    dtype=ACTIVATION_DTYPE,
                    asset=describe(partial / _layer_file(i), _layer_file(i)),
                    spatial=shapes[i][1],
                ).to_json()
                for i, layer in kept
            ],
            "graph": describe(partial / "graph.json", "graph.json").to_json(),
            "frozen": frozen_record and frozen_record.to_json(),
            "frozen_problem": frozen_problem,
            "preprocessing": preprocessing and preprocessing.to_json(),
        }
        index["digest"] = content_digest(index)
        folder = f"{slug(name)}-{step}-{index['digest'][:8]}"
        for asset in _own_assets(index):
            asset["path"] = f"{ASSET_ROOT}/snapshots/{folder}/{asset['path']}"
        if len(index_text(index)) > MAX_INDEX_BYTES:
            raise ActivationError(f"index larger than {MAX_INDEX_BYTES} bytes; log fewer layers")
        publish(partial, parent / folder)
    return index, left_out


def describe_left_out(left_out: Mapping[str, str]) -> str:
    """Which layers are not finite and from where on, the first ones by name, and what to do."""
    named = [f"layer {name!r} ({where})" for name, where in list(left_out.items())[:_NAMED]]
    more = len(left_out) - len(named)
    also = f" and {more} more" if more else ""
    return (
        f"{', '.join(named)}{also} hold NaN, infinity or values beyond float32; check the "
        f"preprocessing, or compute in float32: float16 ends at 65504"
    )


def warn_of_left_out(name: str, left_out: Mapping[str, str], stacklevel: int) -> None:
    """Warn the caller `stacklevel` calls above of the layers that `write_snapshot` left out."""
    if left_out:
        warnings.warn(
            f"{name!r} is logged without {len(left_out)} of its layers: "
            f"{describe_left_out(left_out)}",
            stacklevel=stacklevel,
        )


def index_text(index: dict[str, Any]) -> str:
    """An index as it stands in its record."""
    return json.dumps(index, separators=(",", ":"), allow_nan=False)


def _layer_file(number: int) -> str:
    return f"{number:04d}.npy"


def _own_assets(index: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for layer in index["layers"]:
        yield layer["asset"]
    yield index["graph"]
    if index["frozen"]:
        yield index["frozen"]["asset"]


def _write_json(file: Path, value: Any) -> None:
    with writing_to(file.parent):
        file.write_text(json.dumps(value, separators=(",", ":"), allow_nan=False), encoding="utf-8")


def _write_activations(
    directory: Path, layers: Sequence[str], rows: int, batches: Iterable[Sequence[Sampled]]
) -> tuple[list[tuple[int, Spatial]], dict[str, str]]:
    """Fill one .npy per layer batch by batch; gives each layer's units and map.

    Also the layers that are not finite, and where: of those there is no file.
    """
    shapes: list[tuple[int, Spatial]] = []
    left_out: dict[str, str] = {}
    start = 0
    for batch in batches:
        if not shapes:
            shapes = [(sampled.values.shape[1], sampled.spatial) for sampled in batch]
            for i, (units, _) in enumerate(shapes):
                _begin_matrix(directory / _layer_file(i), rows, units)
        end = start + len(batch[0].values)
        for i, (layer, sampled) in enumerate(zip(layers, batch, strict=True)):
            if end > rows or len(sampled.values) != end - start:
                raise ActivationError(
                    f"layer {layer!r} has {start + len(sampled.values)} rows and the probe {rows}; "
                    f"give one row per position of the probe"
                )
            if layer in left_out:
                continue
            finite = np.isfinite(sampled.values)
            if not finite.all():
                unit = int(np.argmin(finite.all(axis=0)))
                left_out[layer] = f"unit {unit} in row {start + int(np.argmin(finite[:, unit]))}"
                (directory / _layer_file(i)).unlink()
                continue
            # Opened anew each time: a model may have more layers than a process may open files.
            with writing_to(directory), open(directory / _layer_file(i), "ab") as stream:
                stream.write(np.ascontiguousarray(sampled.values, "<f4").data)
        start = end
    if start != rows:
        raise ActivationError(f"{start} rows of activations and the probe has {rows}")
    return shapes, left_out


def _begin_matrix(file: Path, rows: int, units: int) -> None:
    """The header of a .npy file whose rows are then appended in order."""
    with writing_to(file.parent), open(file, "xb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<f4", "fortran_order": False, "shape": (rows, units)}
        )


def _require_nodes(graph: LayerGraph, layers: Sequence[str]) -> None:
    there = {node.name for node in graph.nodes}
    for layer in layers:
        if layer not in there:
            raise ActivationError(
                f"the graph has no node {layer!r}; name the layers as its nodes are named"
            )


def _mark_logged(graph: LayerGraph, logged: set[str]) -> LayerGraph:
    nodes = tuple(replace(node, logged=node.name in logged) for node in graph.nodes)
    return LayerGraph(nodes, graph.blocks)

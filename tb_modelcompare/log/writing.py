"""Snapshots onto the disk: assets first, whole directories at once, then the index's text."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial as partial_of
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np

from tb_modelcompare.capture.contract import FrozenGraph
from tb_modelcompare.capture.receptive import ReceptiveField
from tb_modelcompare.errors import ActivationError
from tb_modelcompare.graph import LayerGraph
from tb_modelcompare.log.assets import (
    Asset,
    assembling,
    describe,
    publish,
    slug,
    sync,
    write_json,
    writing_to,
)
from tb_modelcompare.log.container import (
    Gathered,
    append_array,
    gathered,
    kept_as,
)
from tb_modelcompare.log.format import (
    ARRAYS_FOLDER,
    ASSET_ROOT,
    MAX_INDEX_BYTES,
    MAX_LAYERS,
    RECORD_VERSION,
    Dtype,
)
from tb_modelcompare.log.index import (
    FrozenRecord,
    LayerRecord,
    StrongestRecord,
    content_digest,
)
from tb_modelcompare.log.probe_record import ProbeRecord
from tb_modelcompare.log.reporting import LeftOut, describe_left_out
from tb_modelcompare.log.strongest import Strongest, in_one
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.sampling import Sampled

_ARRAYS = "arrays.bin"  # until they have a name of their own


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
    fields: Mapping[str, ReceptiveField] = MappingProxyType({}),
    dtype: Dtype = "float32",
    known: Mapping[str, Asset] = MappingProxyType({}),
) -> tuple[dict[str, Any], LeftOut]:
    """Write all assets of a snapshot.

    `batches` give, for consecutive rows, one `Sampled` per layer. `fields` are what layers see of
    an image, where that is known. `known` are arrays of the run by their digests: an equal one is
    referred to instead of being written again.

    Returns
    -------
    index : dict
        Still to be recorded.
    left_out : LeftOut

    Raises
    ------
    ActivationError
        If rows are missing or too many, or no layer is finite.
    LogDirectoryError
        If the files cannot be written; none of them is left then.
    """
    if len(layers) > MAX_LAYERS:
        raise ActivationError(f"{len(layers)} layers; log at most {MAX_LAYERS}")
    # No name comes twice: others may refer to what was logged before with equal contents.
    folder = f"{slug(name)}-{step}-{secrets.token_hex(4)}"
    own = f"{ASSET_ROOT}/snapshots/{folder}"
    arrays = f"{ARRAYS_FOLDER}/{folder}.bin"
    with assembling(run_dir / ASSET_ROOT / "snapshots") as partial:
        with gathered(partial, layers, probe.rows, probe.count, batches) as rows:
            left_out = LeftOut(rows.left_out)
            append = partial_of(append_array, run_dir=run_dir, path=arrays, known=known)
            records, strongest = _write_arrays(partial, layers, rows, dtype, append, left_out)
        records = [replace(one, receptive_field=fields.get(one.name)) for one in records]
        if not records:
            raise ActivationError(f"no layer is finite: {describe_left_out(left_out.layers)}")
        _require_nodes(graph, layers)
        logged = {record.name for record in records}
        write_json(partial / "graph.json", _mark_logged(graph, logged).to_json())
        frozen_record = None
        if frozen is not None:
            with writing_to(partial):
                (partial / "frozen.pb").write_bytes(frozen.graph_def)
            frozen_record = FrozenRecord(
                describe(partial / "frozen.pb", f"{own}/frozen.pb"),
                frozen.input,
                frozen.input_shape,
                {name: t for name, t in frozen.tensors.items() if name in logged},
            )
        index: dict[str, Any] = {
            "version": RECORD_VERSION,
            "name": name,
            "step": step,
            "wall_time": time.time(),
            "probe": probe.to_json(),
            "layers": [record.to_json() for record in records],
            "strongest": strongest and strongest.to_json(),
            "graph": describe(partial / "graph.json", f"{own}/graph.json").to_json(),
            "frozen": frozen_record and frozen_record.to_json(),
            "frozen_problem": frozen_problem,
            "preprocessing": preprocessing and preprocessing.to_json(),
        }
        index["digest"] = content_digest(index)
        if len(index_text(index)) > MAX_INDEX_BYTES:
            raise ActivationError(f"index larger than {MAX_INDEX_BYTES} bytes; log fewer layers")
        _publish(partial, run_dir / arrays, run_dir / own)
    return index, left_out


def _publish(partial: Path, arrays: Path, own: Path) -> None:
    """The arrays first, without which the directory would be of no use."""
    try:
        with writing_to(arrays.parent):
            arrays.parent.mkdir(exist_ok=True)
            if (partial / _ARRAYS).stat().st_size:
                sync(partial / _ARRAYS)
                os.rename(partial / _ARRAYS, arrays)
                sync(arrays.parent)
            else:
                (partial / _ARRAYS).unlink()
        publish(partial, own)
    except BaseException:
        arrays.unlink(missing_ok=True)
        raise


def arrays_of(index: Mapping[str, Any]) -> dict[str, Asset]:
    """The arrays of an index that was written, by digest, for what is written next."""
    strongest = index["strongest"] or {}
    parts = [layer["asset"] for layer in index["layers"]]
    parts += [part for part in strongest.values() if isinstance(part, dict)]
    return {part["sha256"]: Asset.from_json(part, "array") for part in parts}


def index_text(index: dict[str, Any]) -> str:
    """An index as it stands in its record."""
    return json.dumps(index, separators=(",", ":"), allow_nan=False)


def _write_arrays(
    partial: Path,
    layers: Sequence[str],
    rows: Gathered,
    dtype: Dtype,
    append: Callable[..., Asset],
    left_out: LeftOut,
) -> tuple[list[LayerRecord], StrongestRecord | None]:
    """The file of those arrays that the run does not hold yet; a record for each layer."""
    records = []
    strongest: list[Strongest] = []
    first = 0
    with writing_to(partial), open(partial / _ARRAYS, "xb") as stream:
        for i, layer in enumerate(layers):
            if layer in left_out.layers:
                continue
            kept = kept_as(i, rows, dtype)
            if kept != dtype:
                left_out.too_large.append(layer)
            units, spatial = rows.shapes[i]
            little = np.dtype(kept).newbyteorder("<").str
            asset = append(stream, little, (rows.rows, units), rows.blocks(i))
            begins = first if i in rows.strongest else None
            records.append(LayerRecord(layer, units, rows.rows, kept, asset, spatial, begins))
            if begins is not None:
                strongest.append(rows.strongest[i])
                first += units
        return records, _write_strongest(stream, strongest, append)


def _write_strongest(
    stream: IO[bytes], layers: Sequence[Strongest], append: Callable[..., Asset]
) -> StrongestRecord | None:
    """For all layers together, as most are small; None if no layer has a map."""
    if not layers:
        return None
    arrays = in_one(layers)
    units, per_unit = arrays["values"].shape
    parts = {
        name: append(stream, values.dtype.newbyteorder("<").str, values.shape, [values])
        for name, values in arrays.items()
    }
    return StrongestRecord(units, per_unit, **parts)


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

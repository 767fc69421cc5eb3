"""The text of an index record becomes a `Snapshot`, or an error that says what is wrong with it."""

from __future__ import annotations

from typing import Any

from tb_modelcompare.errors import CorruptSnapshotError, ProbeError
from tb_modelcompare.log.bounds import (
    expect,
    expect_apart,
    expect_bounded,
    is_count,
    is_time,
    parse_json_asset,
)
from tb_modelcompare.log.format import (
    ARRAYS_VERSION,
    DTYPES,
    IMAGES_VERSION,
    MAX_INDEX_BYTES,
    MAX_LAYERS,
    RECORD_VERSION,
)
from tb_modelcompare.log.index import (
    content_digest,
    parse_frozen,
    parse_layer,
    parse_strongest,
)
from tb_modelcompare.log.probe_record import parse_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.log.text import parse_json
from tb_modelcompare.probe.preprocessing import Preprocessing


def snapshot_id(run: str, name: str, step: int) -> str:
    """The canonical id, RUN/NAME@STEP."""
    encoded = name.replace("%", "%25").replace("/", "%2F")
    return f"{run}/{encoded}@{step}"


def snapshot_from_index(run_dir: str, run: str, index_json: str | bytes) -> Snapshot:
    """Parse and validate an index record; no asset is read.

    Parameters
    ----------
    run_dir : str
        The run's directory, to which asset paths are relative.
    run : str
        The run's name, as TensorBoard gives it.
    index_json : str or bytes
        The record's text.

    Raises
    ------
    CorruptSnapshotError
        If it is truncated, of another version, out of bounds, or contradicts itself.
    """
    if len(index_json) > MAX_INDEX_BYTES:
        raise CorruptSnapshotError(f"index in run {run!r} is longer than {MAX_INDEX_BYTES} bytes")
    try:
        index = parse_json(index_json)
    except ValueError as error:
        raise CorruptSnapshotError(
            f"index in run {run!r} is not JSON, perhaps cut off ({error}); log the model again"
        ) from error
    if not isinstance(index, dict):
        raise CorruptSnapshotError(f"index in run {run!r} is not a JSON object")
    if index.get("version") not in (IMAGES_VERSION, ARRAYS_VERSION, RECORD_VERSION):
        raise CorruptSnapshotError(
            f"index in run {run!r} has version {index.get('version')!r:.50} and this is a reader "
            f"of versions {IMAGES_VERSION} to {RECORD_VERSION}; update tb-modelcompare, or log "
            f"the model again"
        )
    try:
        return _parse(run_dir, run, index)
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CorruptSnapshotError(
            f"index in run {run!r} lacks or misuses a field ({error!r:.200}); log the model again"
        ) from error


def _parse(run_dir: str, run: str, index: dict[str, Any]) -> Snapshot:
    name, step, wall_time = index["name"], index["step"], index["wall_time"]
    where = f"index in run {run!r}"
    expect(isinstance(name, str) and 0 < len(name) <= 1024, f"{where}: bad name {name!r:.80}")
    expect(is_count(step), f"{where}: bad step {step!r:.50}")
    expect(is_time(wall_time), f"{where}: bad wall_time {wall_time!r:.50}")
    where = f"index of {snapshot_id(run, name, step)}"

    probe = parse_probe(index["probe"], where)
    expect(
        index["version"] != (ARRAYS_VERSION if probe.is_of_images else IMAGES_VERSION),
        f"{where}: version {index['version']} is not that of its kind of probe",
    )
    expect(
        index["version"] == RECORD_VERSION or not probe.has_more,
        f"{where}: version {index['version']} has neither a mask, nor labels, nor images with "
        f"different numbers of rows",
    )
    raw_layers = index["layers"]
    expect(
        isinstance(raw_layers, list) and 0 < len(raw_layers) <= MAX_LAYERS,
        f"{where}: no layers, or more than {MAX_LAYERS}",
    )
    dtypes = DTYPES if index["version"] == RECORD_VERSION else DTYPES[:1]
    layers = tuple(parse_layer(raw, probe.rows, dtypes, where) for raw in raw_layers)
    expect(len({layer.name for layer in layers}) == len(layers), f"{where}: a layer comes twice")
    raw = index.get("strongest")
    strongest = None if raw is None else parse_strongest(raw, layers, where)
    expect(
        strongest is not None or all(layer.strongest is None for layer in layers),
        f"{where}: its strongest images are missing",
    )
    graph = parse_json_asset(index["graph"], "layer graph", where)
    frozen = None if index["frozen"] is None else parse_frozen(index["frozen"], where)
    problem = index.get("frozen_problem")
    expect(problem is None or isinstance(problem, str), f"{where}: bad frozen_problem")
    try:
        raw = index["preprocessing"]
        preprocessing = None if raw is None else Preprocessing.from_json(raw)
    except ProbeError as error:
        raise CorruptSnapshotError(f"{where}: {error}") from error
    digest = index["digest"]
    expect(
        digest == content_digest(index),
        f"{where}: its digest does not match its contents; log the model again",
    )
    snapshot = Snapshot(
        id=snapshot_id(run, name, step),
        run=run,
        name=name,
        step=step,
        wall_time=float(wall_time),
        run_dir=run_dir,
        digest=digest,
        layers=layers,
        strongest_record=strongest,
        probe_record=probe,
        graph_asset=graph,
        frozen=frozen,
        frozen_problem=problem,
        preprocessing=preprocessing,
        index=index,
    )
    expect_bounded(snapshot.assets, where)
    expect_apart(snapshot.assets, where)
    return snapshot

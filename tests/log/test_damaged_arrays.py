"""Arrays and graphs that are not what an index says, or that no index may say."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from altered import Index, layer_file, relog, write_layer

from tb_modelcompare.errors import CorruptSnapshotError, MissingAssetError
from tb_modelcompare.log.arrays import open_array
from tb_modelcompare.log.assets import describe
from tb_modelcompare.log.reader import Snapshot, list_snapshots, open_snapshot


def saved(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def test_pickled_arrays_are_never_loaded(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a@0")

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(logdir / "unpickled"),))

    for content in (
        saved(np.array([Trap()], dtype=object), allow_pickle=True),
        __import__("pickle").dumps(Trap()),
    ):
        asset = write_layer(snapshot, "conv1", content)  # a hostile writer makes the digest fit

        def use(index: Index, asset: Any = asset) -> None:
            index["layers"][0]["asset"] = asset.to_json()

        relog(logdir / "a", use, snapshot)
        with pytest.raises(CorruptSnapshotError):
            open_snapshot(logdir, "a/altered@0").activations("conv1")
    assert not (logdir / "unpickled").exists()


def test_arrays_of_another_type_or_with_nan_are_refused(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a@0")
    values = np.full((30, 4), np.nan, np.float32)
    for array, complaint in (
        (values, "NaN"),
        (np.zeros((30, 4), ">f4"), "holds >f4"),
        (np.zeros((30, 4), np.int32), "holds int32"),
        (np.zeros((4, 30), np.float32), "holds float32"),
    ):
        asset = write_layer(snapshot, "conv1", saved(array))

        def use(index: Index, asset: Any = asset) -> None:
            index["layers"][0]["asset"] = asset.to_json()

        relog(logdir / "a", use, snapshot)
        with pytest.raises(CorruptSnapshotError, match=complaint):
            open_snapshot(logdir, "a/altered@0").activations("conv1")


def test_arrays_in_fortran_order_are_copied(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((30, 4)).astype(np.float32)
    snapshot = relog_array(open_snapshot(logdir, "a@0"), saved(np.asfortranarray(values)))
    stored = snapshot.stored_activations("conv1")
    np.testing.assert_array_equal(stored[:], values)
    np.testing.assert_array_equal(stored[7:19], values[7:19])
    np.testing.assert_array_equal(stored[3], values[3])
    np.testing.assert_array_equal(stored.column(2), values[:, 2])
    mapped = snapshot.activations("conv1")
    np.testing.assert_array_equal(mapped, values)
    assert mapped.flags.c_contiguous
    assert not mapped.flags.writeable
    file = logdir / "images.npy"
    images = np.random.default_rng(1).random((3, 4, 5, 2)).astype(np.float32)
    np.save(file, np.asfortranarray(images))
    np.testing.assert_array_equal(open_array(file, np.dtype("<f4"), images.shape)[1:], images[1:])
    monkeypatch.setattr("tb_modelcompare.log.arrays._MAX_COLUMNS", 3)
    with pytest.raises(CorruptSnapshotError, match="C order"):
        snapshot.stored_activations("conv1")


def relog_array(snapshot: Snapshot, content: bytes) -> Snapshot:
    """The snapshot with other contents of conv1, of its size, as a hostile writer would have it."""
    asset = write_layer(snapshot, "conv1", content)
    run = Path(snapshot.run_dir)
    relog(run, lambda index: index["layers"][0].update(asset=asset.to_json()), snapshot)
    return open_snapshot(run.parent, "a/altered@0")


@pytest.mark.parametrize(
    "header",
    [
        "(",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 5), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-12, 5), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 4.0), }",
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**40}, 4), }}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 120, }",
        "{'descr': '<f4', 'fortran_order': 7, 'shape': (30, 4), }",
        "{'descr': ('<f4', (2**70,)), 'fortran_order': False, 'shape': (30, 4), }",
        "{'descr': '(-12,5)<f4', 'fortran_order': False, 'shape': (30, 4), }",
        "{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (30, 4), }",
        "{'descr': None, 'fortran_order': False, 'shape': (30, 4), }",
        "{'descr': '<f4'}",
        "{[]: 1}",
        "'" * 3,
        '"' + "\\N{",
        "(" * 400,
        "-" * 400 + "1",
        "1e999",
        "\0",
        "",
    ],
)
def test_headers_of_arrays_that_no_writer_writes_are_refused(logdir: Path, header: str) -> None:
    for version in (b"\1\0", b"\2\0", b"\3\0", b"\xff\0"):
        width = 2 if version == b"\1\0" else 4
        length = len(header.encode()).to_bytes(width, "little")
        content = b"\x93NUMPY" + version + length + header.encode()
        altered = relog_array(open_snapshot(logdir, "a/net@0"), content)
        with pytest.raises(CorruptSnapshotError):
            altered.activations("conv1")
        assert altered.activations("deep/conv2").shape == (30, 7)


def test_a_missing_graph_is_missing(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a@0")
    file = Path(snapshot.run_dir, snapshot.graph_asset.path)
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(MissingAssetError, match=r"graph\.json is missing"):
        snapshot.graph()
    file.write_bytes(content[:-1] + b"]")
    with pytest.raises(CorruptSnapshotError, match="SHA-256"):
        snapshot.graph()
    file.write_bytes(b"[" * len(content))
    asset = describe(file, snapshot.graph_asset.path)
    relog(logdir / "a", lambda index: index.update(graph=asset.to_json()), snapshot)
    with pytest.raises(CorruptSnapshotError, match="not JSON"):
        open_snapshot(logdir, "a/altered@0").graph()


@pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")
def test_files_that_cannot_be_read_are_refused(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a@0")
    file = layer_file(snapshot, "conv1")
    file.unlink()
    file.symlink_to(file.name)  # to itself
    with pytest.raises(CorruptSnapshotError, match="cannot be read"):
        snapshot.activations("conv1")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(CorruptSnapshotError, match="no file"):
        snapshot.activations("conv1")


@pytest.mark.parametrize(
    "change",
    [
        # 10¹² units on 30 rows: a sparse file of so many bytes takes no room on a disk.
        lambda i: claim(i["layers"][0], units=2 * 10**9),
        lambda i: claim(i["layers"][0], units=9, size=128 + 30 * 4 * 4),
        lambda i: i["graph"].update(bytes=2**30),
        lambda i: i["probe"]["meta"].update(bytes=2**30),
        lambda i: i["probe"]["images"].update(bytes=2**38),
        lambda i: i["probe"]["positions"].update(bytes=2**20),
        lambda i: i.update(layers=[claimed(i, number) for number in range(200)]),
    ],
)
def test_an_index_may_not_claim_more_than_its_shapes_and_any_reader_hold(
    logdir: Path, change: Callable[[Index], object]
) -> None:
    relog(logdir / "a", change, open_snapshot(logdir, "a@0"))
    listing = list_snapshots(logdir)
    assert len(listing.snapshots) == 4
    assert len(listing.problems) == 1


def claim(layer: Index, units: int, size: int | None = None) -> None:
    layer["units"] = units
    layer["asset"]["bytes"] = size or 128 + 30 * units * 4


def claimed(index: Index, number: int) -> Index:
    """A layer of 48 GB: one of them might be."""
    layer: Index = json.loads(json.dumps(index["layers"][0]))
    layer["name"] = str(number)
    claim(layer, units=4 * 10**8)
    return layer

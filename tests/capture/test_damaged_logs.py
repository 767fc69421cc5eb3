"""Damaged and hostile log directories: named problems, and nothing outside is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.disk.assets import describe
from tb_modelcompare.disk.events import EventFile, index_event
from tb_modelcompare.disk.index import content_digest
from tb_modelcompare.errors import (
    ActivationError,
    CorruptSnapshotError,
    MissingAssetError,
)
from tb_modelcompare.store import (
    Snapshot,
    list_snapshots,
    open_snapshot,
    snapshot_from_index,
)

Index = dict[str, Any]


def relog(run: Path, change: Callable[[Index], object], source: Snapshot) -> None:
    """Record an altered index, its digest made to fit, as a hostile writer would."""
    index = json.loads(json.dumps(source.index))
    index["name"] = "altered"
    change(index)
    index["digest"] = content_digest(index)
    events = EventFile(run)
    events.write(index_event("altered", 0, time.time(), json.dumps(index)))
    events.close()


def layer_file(snapshot: Snapshot, layer: str) -> Path:
    return Path(snapshot.run_dir) / snapshot.layer(layer).asset.path


def test_hostile_names_never_become_paths(tmp_path: Path, probe: Probe) -> None:
    name = "../../../evil/../…"
    with SummaryWriter(tmp_path / "logs" / "run", probe) as writer:
        writer.add_activations(name, {"../../x": np.ones((30, 2)), "/etc/passwd": np.ones((30, 1))})
    outside = [p for p in tmp_path.rglob("*") if not p.is_relative_to(tmp_path / "logs" / "run")]
    assert outside == [tmp_path / "logs"]
    snapshot = list_snapshots(tmp_path / "logs").snapshots[0]
    assert snapshot.name == name
    assert snapshot.activations("/etc/passwd").shape == (30, 1)


@pytest.mark.parametrize(
    ("activations", "complaint"),
    [
        ({}, "at least one"),
        ({"a": np.ones((29, 2))}, "rows"),
        ({"a": np.ones((31, 2))}, "rows"),
        ({"a": np.ones((30, 2)), "b": np.ones((29, 2))}, "'b' has 29 rows"),
        ({"a": np.ones(30)}, "shape"),
        ({"a": np.ones((30, 0))}, "shape"),
        ({"a": np.full((30, 2), np.nan)}, "NaN"),
        ({"a": np.full((30, 2), 1e300)}, "infinity"),
        ({"a": np.ones((30, 2), complex)}, "complex"),
        ({"a": np.array([["x"] * 2] * 30)}, "real numbers"),
        ({"a": np.array([[object()] * 2] * 30)}, "real numbers"),
    ],
)
def test_unusable_activations_are_refused_and_leave_nothing(
    tmp_path: Path, probe: Probe, activations: dict[str, np.ndarray], complaint: str
) -> None:
    with (
        SummaryWriter(tmp_path / "run", probe) as writer,
        pytest.raises(ActivationError, match=complaint),
    ):
        writer.add_activations("net", activations)
    listing = list_snapshots(tmp_path)
    assert (listing.snapshots, listing.problems) == ((), ())
    assert list(tmp_path.rglob("*.npy")) == list(tmp_path.rglob("probes/*/*.npy"))


def test_missing_asset(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a")
    layer_file(snapshot, "conv1").unlink()
    with pytest.raises(MissingAssetError, match="is missing"):
        snapshot.activations("conv1")
    assert snapshot.activations("deep/conv2").shape == (30, 7)
    assert open_snapshot(logdir, "b/one").activations("conv1").shape == (30, 4)


def test_truncated_and_altered_assets(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a")
    snapshot.activations("conv1")  # verified once; the change must be seen all the same
    file = layer_file(snapshot, "conv1")
    original = file.read_bytes()
    file.write_bytes(original[:-4])
    with pytest.raises(CorruptSnapshotError, match="bytes"):
        snapshot.activations("conv1")
    file.write_bytes(original[:-4] + b"\1\2\3\4")
    with pytest.raises(CorruptSnapshotError, match="SHA-256"):
        snapshot.activations("conv1")
    file.write_bytes(original)
    assert snapshot.activations("conv1").shape == (30, 4)


def test_altered_probe(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a")
    file = Path(snapshot.run_dir) / snapshot.probe_record.images.path
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptSnapshotError):
        snapshot.probe()


def test_truncated_event_file_leaves_earlier_snapshots(logdir: Path) -> None:
    file = next((logdir / "a").glob("*tfevents*"))
    file.write_bytes(file.read_bytes()[:-1500])
    listing = list_snapshots(logdir)
    assert [s.id for s in listing.snapshots] == ["a/net@0", "b/one@0", "b/two%2Fhalf@0"]
    assert any("middle of a record" in p.message for p in listing.problems)


def test_damaged_event_file_is_a_problem(logdir: Path) -> None:
    file = next((logdir / "a").glob("*tfevents*"))
    data = bytearray(file.read_bytes())
    data[data.rindex(b'"layers"')] ^= 0xFF
    file.write_bytes(data)
    listing = list_snapshots(logdir)
    assert any("checksum" in p.message for p in listing.problems)
    assert "b/one@0" in [s.id for s in listing.snapshots]


@pytest.mark.parametrize(
    "path",
    [
        "../a/secret.npy",
        "/etc/hostname",
        "plugins/modelcompare/../../secret.npy",
        "plugins/modelcompare/./x.npy",
        "plugins/modelcompare//x.npy",
        "plugins\\modelcompare\\x.npy",
        "plugins/modelcompare/x\0.npy",
        "elsewhere/x.npy",
        7,
    ],
)
def test_paths_that_leave_are_refused(logdir: Path, path: object) -> None:
    def escape(index: Index) -> None:
        index["layers"][0]["asset"]["path"] = path

    relog(logdir / "a", escape, open_snapshot(logdir, "a@0"))
    listing = list_snapshots(logdir)
    assert all(s.name != "altered" for s in listing.snapshots)
    assert any("refused" in p.message for p in listing.problems)
    assert len(listing.snapshots) == 4


def test_symbolic_link_out_of_the_run_is_refused(logdir: Path, tmp_path: Path) -> None:
    snapshot = open_snapshot(logdir, "a")
    file = layer_file(snapshot, "conv1")
    file.rename(tmp_path / "outside.npy")
    file.symlink_to(tmp_path / "outside.npy")
    with pytest.raises(CorruptSnapshotError, match="leads out"):
        snapshot.activations("conv1")


def test_pickled_arrays_are_never_loaded(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a@0")
    file = layer_file(snapshot, "conv1")

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(logdir / "unpickled"),))

    for dump in (
        lambda: np.save(file, np.array([Trap()], dtype=object), allow_pickle=True),
        lambda: file.write_bytes(__import__("pickle").dumps(Trap())),
    ):
        dump()
        # A hostile writer makes size and digest fit.
        file.write_bytes(file.read_bytes().ljust(30 * 4 * 4 + 128, b"\0"))
        asset = describe(file, snapshot.layer("conv1").asset.path)

        def use(index: Index, asset: Any = asset) -> None:
            index["layers"][0]["asset"] = asset.to_json()

        relog(logdir / "a", use, snapshot)
        with pytest.raises(CorruptSnapshotError):
            open_snapshot(logdir, "a/altered@0").activations("conv1")
    assert not (logdir / "unpickled").exists()


def test_arrays_of_another_type_or_with_nan_are_refused(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a@0")
    file = layer_file(snapshot, "conv1")
    values = np.full((30, 4), np.nan, np.float32)
    for array, complaint in (
        (values, "NaN"),
        (np.zeros((30, 4), ">f4"), "holds >f4"),
        (np.zeros((30, 4), np.int32), "holds int32"),
        (np.zeros((4, 30), np.float32), "holds float32"),
    ):
        np.save(file, array)
        asset = describe(file, snapshot.layer("conv1").asset.path)

        def use(index: Index, asset: Any = asset) -> None:
            index["layers"][0]["asset"] = asset.to_json()

        relog(logdir / "a", use, snapshot)
        with pytest.raises(CorruptSnapshotError, match=complaint):
            open_snapshot(logdir, "a/altered@0").activations("conv1")


def relog_array(snapshot: Snapshot, content: bytes) -> Snapshot:
    """The snapshot with other contents of conv1, of its size, as a hostile writer would have it."""
    file = layer_file(snapshot, "conv1")
    file.write_bytes(content.ljust(30 * 4 * 4 + 128, b"\0"))
    asset = describe(file, snapshot.layer("conv1").asset.path)
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


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i.update(version=2),
        lambda i: i.update(name=""),
        lambda i: i.update(step=True),
        lambda i: i.update(step=-1),
        lambda i: i.update(wall_time=float("inf")),
        lambda i: i.update(layers=[]),
        lambda i: i["layers"].append(i["layers"][0]),
        lambda i: i["layers"][0].update(units=10**12),
        lambda i: i["layers"][0].update(units=-1),
        lambda i: i["layers"][0].update(rows=31),
        lambda i: i["layers"][0].update(dtype="object"),
        lambda i: i["layers"][0].update(spatial=[1, 2, 3]),
        lambda i: i["layers"][0]["asset"].update(sha256="0" * 63),
        lambda i: i["layers"][0]["asset"].update(bytes=-1),
        lambda i: i["probe"].update(rows=10**9),
        lambda i: i["probe"].update(image_shape=[0, 1, 3]),
        lambda i: i["probe"].update(id=3),
        lambda i: i.update(frozen_problem=3),
        lambda i: i.update(preprocessing={"scale": "x"}),
        lambda i: i["graph"].update(path="graph.json"),
    ],
)
def test_contradictory_indexes_are_problems_of_their_own(
    logdir: Path, change: Callable[[Index], object]
) -> None:
    relog(logdir / "a", change, open_snapshot(logdir, "a@0"))
    listing = list_snapshots(logdir)
    assert [s.id for s in listing.snapshots] == [
        "a/net@0", "a/net@5", "b/one@0", "b/two%2Fhalf@0"
    ]  # fmt: skip
    assert len(listing.problems) == 1


def test_indexes_that_are_no_json_are_refused(logdir: Path) -> None:
    text = json.dumps(open_snapshot(logdir, "a").index)
    for broken in (text[: len(text) // 2], "", "[]", "null", "[" * 100_000, b"\xff\xfe"):
        with pytest.raises(CorruptSnapshotError):
            snapshot_from_index(str(logdir / "a"), "a", broken)
    index = json.loads(text)
    index["layers"][0]["name"] = "renamed"
    with pytest.raises(CorruptSnapshotError, match="digest"):
        snapshot_from_index(str(logdir / "a"), "a", json.dumps(index))
    for key in index:
        shorter = {k: v for k, v in index.items() if k != key}
        if key != "frozen_problem":
            with pytest.raises(CorruptSnapshotError):
                snapshot_from_index(str(logdir / "a"), "a", json.dumps(shorter))


def test_killed_writer_leaves_a_readable_log(logdir: Path) -> None:
    """A writer killed at any moment: what it finished is there, whole; the rest is not listed."""
    script = """
import sys, numpy as np
from tb_modelcompare import Probe, SummaryWriter
probe = Probe(np.zeros((500, 8, 8, 3), np.uint8), positions_per_image=4)
with SummaryWriter(sys.argv[1], probe) as writer:
    for step in range(10_000):
        writer.add_activations("net", {str(i): np.full((2000, 50), step) for i in range(20)}, step)
        print(step, flush=True)
"""
    run = logdir / "killed"
    for delay in (0.0, 0.02, 0.05):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(run)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        last = int(process.stdout.readline())
        time.sleep(delay)
        process.kill()
        process.communicate()
        listing = list_snapshots(logdir)
        killed = [s for s in listing.snapshots if s.run == "killed"]
        assert [s.step for s in killed][: last + 1] == list(range(last + 1))
        for snapshot in killed:
            for name, values in snapshot.all_activations().items():
                assert (values == snapshot.step).all(), name
        assert len(listing.snapshots) == 4 + len(killed)


def test_abandoned_files_are_pointed_out(logdir: Path) -> None:
    snapshots = logdir / "a" / "plugins" / "modelcompare" / "snapshots"
    for name in (".partial-1-dead", "net-9-01234567"):
        (snapshots / name).mkdir()
    assert list_snapshots(logdir).problems == ()  # a writer may be at work on them
    for name in (".partial-1-dead", "net-9-01234567"):
        os.utime(snapshots / name, (0, 0))
    problems = list_snapshots(logdir).problems
    assert [Path(p.where).name for p in problems] == [".partial-1-dead", "net-9-01234567"]

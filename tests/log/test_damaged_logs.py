"""Damaged and hostile log directories: named problems, and nothing outside is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from altered import Index, layer_bytes, layer_file, relog

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import ActivationError, CorruptSnapshotError, MissingAssetError
from tb_modelcompare.log.reader import list_snapshots, open_snapshot, snapshot_from_index


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
    assert list(tmp_path.rglob("snapshots/*")) == []


def test_missing_asset(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a")
    layer_file(snapshot, "conv1").unlink()
    with pytest.raises(MissingAssetError, match="is missing"):
        snapshot.activations("conv1")
    assert len(snapshot.graph().nodes) == 2
    assert open_snapshot(logdir, "b/one").activations("conv1").shape == (30, 4)


def test_truncated_and_altered_assets(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a")
    snapshot.activations("conv1")  # verified once; the change must be seen all the same
    file = layer_file(snapshot, "conv1")
    original, layer = file.read_bytes(), layer_bytes(snapshot, "conv1")
    file.write_bytes(original[: len(layer) - 4])
    with pytest.raises(CorruptSnapshotError, match="bytes"):
        snapshot.activations("conv1")
    file.write_bytes(original.replace(layer, layer[:-4] + b"\1\2\3\4"))
    with pytest.raises(CorruptSnapshotError, match="SHA-256"):
        snapshot.activations("conv1")
    assert snapshot.activations("deep/conv2").shape == (30, 7)
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

"""Reading log directories: what was logged, by which names, as it grows."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import (
    LogDirectoryError,
    ModelCompareError,
    NotRenderableError,
    ProbeMismatchError,
    UnknownSnapshotError,
)
from tb_modelcompare.log.reader import list_snapshots, open_snapshot
from tb_modelcompare.log.same_probe import require_same_probe


def test_what_was_logged_is_read_back(tmp_path: Path, probe: Probe) -> None:
    values = np.random.default_rng(0).random((30, 5)).astype(np.float32)
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net", {"a": values, "b": values[:, :2] * 2}, step=7)
    snapshot = open_snapshot(tmp_path, "run")
    assert (snapshot.id, snapshot.step, snapshot.layer_names) == ("run/net@7", 7, ("a", "b"))
    np.testing.assert_array_equal(snapshot.activations("a"), values)
    assert snapshot.activations("a").flags.writeable is False
    np.testing.assert_array_equal(snapshot.all_activations()["b"], values[:, :2] * 2)
    again = snapshot.probe()
    assert again.id == probe.id
    assert again.names == probe.names
    np.testing.assert_array_equal(again.images, probe.images)
    assert [(n.name, n.logged) for n in snapshot.graph().nodes] == [("a", True), ("b", True)]
    with pytest.raises(NotRenderableError):
        snapshot.frozen_graph_path()


def test_names_of_snapshots(logdir: Path) -> None:
    ids = [s.id for s in list_snapshots(logdir).snapshots]
    assert ids == ["a/net@0", "a/net@5", "b/one@0", "b/two%2Fhalf@0"]
    assert open_snapshot(logdir, "a").id == "a/net@5"
    assert open_snapshot(logdir, "a@0").id == "a/net@0"
    assert open_snapshot(logdir, "b/two/half").id == "b/two%2Fhalf@0"
    for name in ids:
        assert open_snapshot(logdir, name).id == name
    with pytest.raises(UnknownSnapshotError, match=r"fits several.*b/one@0"):
        open_snapshot(logdir, "b")
    with pytest.raises(UnknownSnapshotError, match=r"a/net@0"):
        open_snapshot(logdir, "a/net@3")


def test_unknown_layer_names_the_nearest(logdir: Path) -> None:
    with pytest.raises(UnknownSnapshotError, match="nearest: deep/conv2"):
        open_snapshot(logdir, "a").activations("deep/conv3")


def test_logging_again_supersedes(tmp_path: Path, probe: Probe) -> None:
    for value in (1.0, 2.0):
        with SummaryWriter(tmp_path / "run", probe) as writer:
            writer.add_activations("net", {"a": np.full((30, 2), value)})
    listing = list_snapshots(tmp_path)
    assert len(listing.snapshots) == 1
    assert listing.snapshots[0].activations("a")[0, 0] == 2.0
    assert listing.problems == ()


def test_same_contents_have_the_same_digest(tmp_path: Path, probe: Probe) -> None:
    for run in ("x", "y"):
        with SummaryWriter(tmp_path / run, probe) as writer:
            writer.add_activations("net", {"a": np.ones((30, 2))})
    assert open_snapshot(tmp_path, "x").digest == open_snapshot(tmp_path, "y").digest


def test_a_snapshot_travels_to_another_process(logdir: Path) -> None:
    snapshot = open_snapshot(logdir, "a")
    other = pickle.loads(pickle.dumps(snapshot))  # noqa: S301  our own bytes
    assert other.id == snapshot.id
    np.testing.assert_array_equal(other.activations("conv1"), snapshot.activations("conv1"))


def test_different_probes_are_not_compared(logdir: Path, probe: Probe) -> None:
    with SummaryWriter(logdir / "c", Probe(probe.images, positions_per_image=3, seed=9)) as writer:
        writer.add_activations("net", {"a": np.ones((30, 2))})
    a, c = open_snapshot(logdir, "a"), open_snapshot(logdir, "c")
    require_same_probe(a, a)
    with pytest.raises(ProbeMismatchError, match=r"a/net@5 .* c/net@0"):
        require_same_probe(a, c)


@pytest.mark.parametrize(("name", "step"), [("", 0), ("x" * 300, 0), ("a\0b", 0), ("a", -1)])
def test_bad_names_and_steps_are_refused(
    tmp_path: Path, probe: Probe, name: str, step: int
) -> None:
    with SummaryWriter(tmp_path, probe) as writer, pytest.raises(ModelCompareError):
        writer.add_activations(name, {"a": np.ones((30, 2))}, step=step)


def test_remote_and_absent_directories_are_named(tmp_path: Path, probe: Probe) -> None:
    with pytest.raises(LogDirectoryError, match="not supported yet"):
        SummaryWriter("gs://bucket/run", probe)
    with pytest.raises(LogDirectoryError, match="not supported yet"):
        list_snapshots("gs://bucket")
    with pytest.raises(LogDirectoryError, match="no directory"):
        list_snapshots(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(LogDirectoryError, match="is a file"):
        SummaryWriter(tmp_path / "file", probe)


def test_foreign_event_files_are_passed_over(logdir: Path) -> None:
    (logdir / "a" / "events.out.tfevents.1.x").write_bytes(b"\0" * 100)
    (logdir / "junk").mkdir()
    (logdir / "junk" / "events.out.tfevents.2.x").write_bytes(b"")
    assert len(list_snapshots(logdir).snapshots) == 4


def test_growing_event_file_is_read_on(logdir: Path, probe: Probe) -> None:
    with SummaryWriter(logdir / "d", probe) as writer:
        for step in range(3):
            writer.add_activations("net", {"a": np.full((30, 2), step)}, step=step)
            ids = [s.step for s in list_snapshots(logdir).snapshots if s.run == "d"]
            assert ids == list(range(step + 1))


def test_linked_run_is_listed_and_cycles_end(logdir: Path, tmp_path: Path) -> None:
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "linked").symlink_to(logdir / "a")
    (tmp_path / "view" / "loop").symlink_to(tmp_path / "view")
    snapshots = list_snapshots(tmp_path / "view").snapshots
    assert [s.id for s in snapshots] == ["linked/net@0", "linked/net@5"]
    assert snapshots[0].activations("conv1").shape == (30, 4)


def test_tensorflow_is_not_needed(logdir: Path) -> None:
    script = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "torch"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import numpy as np
from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.log.reader import open_snapshot
probe = Probe(np.zeros((2, 8, 8, 3), np.uint8))
with SummaryWriter(sys.argv[1] + "/bare", probe) as writer:
    writer.add_activations("net", {"a": np.ones((2, 2))})
print(open_snapshot(sys.argv[1], "bare").activations("a").sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(logdir)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "4.0\n"


def test_more_layers_than_files_can_be_open(tmp_path: Path, probe: Probe) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # What other tests of this process left open counts as well.
    open_now = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 200, hard))
    try:
        with SummaryWriter(tmp_path / "run", probe) as writer:
            writer.add_activations("net", {f"l{i}": np.full((30, 1), i) for i in range(400)})
        assert open_snapshot(tmp_path, "run").activations("l399")[29, 0] == 399
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

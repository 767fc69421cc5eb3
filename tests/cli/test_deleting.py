"""`prune` and `rm`: what goes, what stays, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.cli import main
from tb_modelcompare.errors import UnknownSnapshotError
from tb_modelcompare.log.reader import list_snapshots, open_snapshot


@pytest.fixture
def logs(tmp_path: Path, probe: Probe) -> Path:
    """Seven steps of a model with a frozen layer, and another model with one."""
    shared = np.random.default_rng(0).random((30, 500))
    with SummaryWriter(tmp_path / "logs" / "run", probe) as writer:
        for step in range(7):
            moving = np.random.default_rng(step).random((30, 400))
            writer.add_activations("net", {"frozen": shared, "moving": moving}, step * 10)
    with SummaryWriter(tmp_path / "logs" / "other", probe) as writer:
        writer.add_activations("other", {"layer": shared})
    return tmp_path / "logs"


def steps(logs: Path) -> list[int]:
    listing = list_snapshots(logs)
    assert listing.problems == ()
    shared = np.random.default_rng(0).random((30, 500)).astype(np.float32)
    for one in listing.snapshots:
        if one.run == "run":
            np.testing.assert_array_equal(one.activations("frozen"), shared)
            moving = np.random.default_rng(one.step // 10).random((30, 400)).astype(np.float32)
            np.testing.assert_array_equal(one.activations("moving"), moving)
    return [one.step for one in listing.snapshots if one.run == "run"]


def size(logs: Path) -> int:
    return sum(f.stat().st_blocks * 512 for f in logs.rglob("*") if f.is_file())


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("--keep", "2"), [0, 60]),
        (("--keep", "3"), [0, 50, 60]),
        (("--every", "3"), [0, 30, 60]),
        (("--keep", "2", "--every", "5"), [0, 50, 60]),
        (("--keep", "99"), [0, 10, 20, 30, 40, 50, 60]),
    ],
)
def test_prune_keeps_the_first_the_last_and_every_kth(
    logs: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], left: list[int]
) -> None:
    before = size(logs)
    assert main(["prune", str(logs), *options]) == 0
    assert "--yes" in capsys.readouterr().out
    assert (steps(logs), size(logs)) == ([0, 10, 20, 30, 40, 50, 60], before)
    assert main(["prune", str(logs), *options, "--yes"]) == 0
    *named, last = capsys.readouterr().out.splitlines()
    assert len(named) == 7 - len(left)
    assert last.endswith("deleted")
    assert steps(logs) == left
    promised = float(last.split(", ")[1].split(" MB")[0]) * 1e6
    assert before - size(logs) == pytest.approx(promised, rel=0.1, abs=20_000)
    assert open_snapshot(logs, "other").step == 0  # one alone stays


def test_prune_has_to_be_told_what_stays(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", str(logs)]) == 2
    assert "--keep" in capsys.readouterr().err
    assert len(steps(logs)) == 7


def test_prune_and_the_callback_keep_the_same(logs: Path, tmp_path: Path, probe: Probe) -> None:
    import keras

    from tb_modelcompare.keras import ModelCompareCallback

    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(2, 32, name="conv"), keras.layers.Flatten()]
    )
    model.compile("sgd", "mse")
    callback = ModelCompareCallback(tmp_path / "kept", probe, frozen="none", keep=3)
    model.fit(probe.images / 255, np.zeros((10, 2)), 10, epochs=6, verbose=0, callbacks=[callback])
    assert [one.step for one in list_snapshots(tmp_path / "kept").snapshots] == [0, 5, 6]
    assert main(["prune", str(logs), "--keep", "3", "--yes"]) == 0
    assert steps(logs) == [0, 50, 60]


def test_rm_deletes_one_step_or_all(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rm", f"{logs}:run@0"]) == 0  # others refer to its frozen layer
    assert steps(logs) == [10, 20, 30, 40, 50, 60]
    with pytest.raises(UnknownSnapshotError):
        open_snapshot(logs, "run@0")
    assert main(["rm", f"{logs}:run/net"]) == 0
    assert steps(logs) == []
    assert list((logs / "run/plugins/modelcompare/arrays").iterdir()) == []
    capsys.readouterr()
    for wrong in (f"{logs}:run", f"{logs}/no:run", str(logs)):
        assert main(["rm", wrong]) == 2
    assert "LOGDIR:RUN" in capsys.readouterr().err


def test_a_snapshot_that_was_deleted_is_said_to_be(logs: Path) -> None:
    main(["rm", f"{logs}:run@20"])
    with pytest.raises(UnknownSnapshotError, match=r"run/net@20 was deleted"):
        open_snapshot(logs, "run@20")
    listing = list_snapshots(logs)
    assert listing.deleted == {"run/net@20"}

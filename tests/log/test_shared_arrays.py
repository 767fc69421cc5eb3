"""One file a snapshot: what equals the former step is stored once, and outlives its deletion."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from altered import Index, layer_bytes, layer_file, relog

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import OptionError
from tb_modelcompare.log.reader import list_snapshots, open_snapshot


def values(step: int, units: int = 40) -> np.ndarray:
    return np.random.default_rng(step).standard_normal((30, units)).astype(np.float32)


def log_steps(run: Path, probe: Probe, steps: range, frozen: str = "first") -> None:
    """Two layers, of which one never changes."""
    with SummaryWriter(run, probe) as writer:
        for step in steps:
            layers = {"first": values(0, 9), "second": values(step)}
            writer.add_activations("net", {**layers, frozen: values(0, 9)}, step)


def arrays(run: Path) -> list[Path]:
    return sorted((run / "plugins/modelcompare/arrays").iterdir())


def require_all(root: Path, steps: list[int]) -> None:
    listing = list_snapshots(root)
    assert [one.step for one in listing.snapshots] == steps
    assert listing.problems == ()
    for one in listing.snapshots:
        np.testing.assert_array_equal(one.activations("first"), values(0, 9))
        np.testing.assert_array_equal(one.activations("second"), values(one.step))


def test_a_snapshot_is_three_files_at_most_whatever_its_layers(
    tmp_path: Path, probe: Probe
) -> None:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        for step in range(4):
            layers = {f"layer{i}": values(100 * step + i) for i in range(30)}
            writer.add_activations("net", layers, step)
    of_probe_and_events = 4
    files = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert len(files) == of_probe_and_events + 2 * 4
    one = open_snapshot(tmp_path, "run@2")
    np.testing.assert_array_equal(one.activations("layer17"), values(217))
    with open(layer_file(one, "layer17"), "rb") as stream:  # as any reader of numpy may do
        stream.seek(one.layer("layer17").asset.offset or 0)
        np.testing.assert_array_equal(np.load(stream), values(217))


def test_layers_that_equal_the_former_step_are_stored_once(tmp_path: Path, probe: Probe) -> None:
    log_steps(tmp_path / "run", probe, range(5))
    require_all(tmp_path, [0, 1, 2, 3, 4])
    where = {layer_file(open_snapshot(tmp_path, f"run@{s}"), "first") for s in range(5)}
    assert len(where) == 1
    sizes = [file.stat().st_size for file in arrays(tmp_path / "run")]
    assert sum(sizes) < 5 * 30 * 40 * 4 + 30 * 9 * 4 + 6 * 200


def test_digests_do_not_depend_on_what_is_shared(tmp_path: Path, probe: Probe) -> None:
    log_steps(tmp_path / "all", probe, range(3))
    log_steps(tmp_path / "last", probe, range(2, 3))
    assert open_snapshot(tmp_path, "all@2").digest == open_snapshot(tmp_path, "last@2").digest


def test_a_deleted_snapshot_leaves_what_others_refer_to(tmp_path: Path, probe: Probe) -> None:
    run = tmp_path / "run"
    log_steps(run, probe, range(4))
    before = open_snapshot(tmp_path, "run@0")
    room = layer_file(before, "first").stat().st_blocks
    second = layer_bytes(before, "second")
    with SummaryWriter(run, probe) as writer:
        writer.remove("net", 0)
        require_all(tmp_path, [1, 2, 3])
        left = layer_file(before, "first")
        assert second not in left.read_bytes()
        assert left.stat().st_blocks <= room
        writer.remove("net", 2)
        require_all(tmp_path, [1, 3])
        assert len(arrays(run)) == 3  # that of step 2 is of use to none
        writer.remove("net", 1)
        writer.remove("net", 3)
    require_all(tmp_path, [])
    assert arrays(run) == []


def test_a_snapshot_that_is_deleted_by_hand_takes_no_other_with_it(
    tmp_path: Path, probe: Probe
) -> None:
    run = tmp_path / "run"
    log_steps(run, probe, range(3))
    for name, empty in (("run@0", True), ("run@1", False)):
        folder = run / open_snapshot(tmp_path, name).folder
        shutil.rmtree(folder)
        if empty:
            folder.mkdir()
    listing = list_snapshots(tmp_path)
    assert (len(listing.snapshots), listing.gone) == (2, {"run/net@1"})
    last = open_snapshot(tmp_path, "run@2")
    np.testing.assert_array_equal(last.activations("first"), values(0, 9))
    assert not open_snapshot(tmp_path, "run@1").has_activations()
    with SummaryWriter(run, probe) as writer:
        writer.remove("net", 1)
    require_all(tmp_path, [2])
    assert len(arrays(run)) == 2


def test_logging_a_step_again_leaves_what_others_refer_to(tmp_path: Path, probe: Probe) -> None:
    log_steps(tmp_path / "run", probe, range(3))
    log_steps(tmp_path / "run", probe, range(1))  # the same contents, by another writer
    require_all(tmp_path, [0, 1, 2])
    with SummaryWriter(tmp_path / "run", probe) as writer:
        for _ in range(2):  # the second of them equals the one that it takes the place of
            writer.add_activations("net", {"first": values(0, 9), "second": values(0)}, 0)
    require_all(tmp_path, [0, 1, 2])


def test_nothing_is_shared_with_what_was_damaged_or_deleted(tmp_path: Path, probe: Probe) -> None:
    run = tmp_path / "run"
    other = [
        sys.executable,
        "-c",
        "import sys; from pathlib import Path\n"
        "for file in Path(sys.argv[1]).glob('plugins/modelcompare/arrays/*'): file.unlink()",
    ]
    layers = {"first": values(0, 9), "second": values(1)}
    with SummaryWriter(run, probe) as writer:
        for step, damage in enumerate(("none", "deleted", "altered")):
            writer.add_activations("net", layers, step)
            file = layer_file(open_snapshot(tmp_path, f"run@{step}"), "first")
            if damage == "deleted":
                subprocess.run([*other, str(run)], check=True)
            elif damage == "altered":
                content = bytearray(file.read_bytes())
                content[200] ^= 1
                file.write_bytes(content)
        writer.add_activations("net", layers, 9)
    np.testing.assert_array_equal(
        open_snapshot(tmp_path, "run@9").activations("first"), values(0, 9)
    )


def test_half_precision_takes_half_the_room_and_is_given_as_float32(
    tmp_path: Path, probe: Probe
) -> None:
    with SummaryWriter(tmp_path / "half", probe) as writer:
        writer.add_activations("net", {"layer": values(3)}, dtype="float16")
    with SummaryWriter(tmp_path / "whole", probe) as writer:
        writer.add_activations("net", {"layer": values(3)})
    half, whole = (open_snapshot(tmp_path, run) for run in ("half", "whole"))
    given = half.activations("layer")
    assert given.dtype == np.float32
    assert not given.flags.writeable
    np.testing.assert_array_equal(given, values(3).astype(np.float16).astype(np.float32))
    stored = half.stored_activations("layer")
    np.testing.assert_array_equal(stored.column(7), given[:, 7])
    np.testing.assert_array_equal(stored[3:5], given[3:5])
    assert stored[0].dtype == stored.column(0).dtype == np.float32
    assert half.layer("layer").asset.bytes - 128 == (whole.layer("layer").asset.bytes - 128) / 2
    assert half.digest != whole.digest


def test_layers_beyond_half_precision_stay_as_they_are(tmp_path: Path, probe: Probe) -> None:
    large = values(4)
    large[7, 3] = -65505.0
    with (
        SummaryWriter(tmp_path / "run", probe) as writer,
        pytest.warns(UserWarning, match=r"kept as float32.*'large'"),
    ):
        writer.add_activations("net", {"large": large, "small": values(5)}, dtype="float16")
    one = open_snapshot(tmp_path, "run")
    np.testing.assert_array_equal(one.activations("large"), large)
    assert [layer.dtype for layer in one.layers] == ["float32", "float16"]


def test_another_type_is_refused(tmp_path: Path, probe: Probe) -> None:
    with SummaryWriter(tmp_path, probe) as writer, pytest.raises(OptionError, match="dtype"):
        writer.add_activations("net", {"layer": values(0)}, dtype="float64")  # type: ignore[arg-type]


def test_more_rows_than_memory_holds_at_once_are_kept_in_order(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tb_modelcompare.log import container

    monkeypatch.setattr(container, "IN_MEMORY", 1000)
    monkeypatch.setattr(container, "BLOCK_VALUES", 100)
    log_steps(tmp_path / "run", probe, range(3))
    require_all(tmp_path, [0, 1, 2])


@pytest.mark.parametrize(
    "change",
    [
        lambda first, second: first.update(offset=second["offset"]),
        lambda first, second: first.update(offset=first["offset"] + 64),
        lambda first, second: first.update(offset=1),
        lambda first, second: first.update(offset=-64),
        lambda first, second: first.update(offset=2**63),
        lambda first, second: first.update(offset=64.0),
        lambda first, second: first.update(offset=True),
        lambda first, second: first.pop("offset"),
        lambda first, second: first.update(path="plugins/modelcompare/arrays/../../../x.bin"),
    ],
)
def test_parts_that_overlap_or_lie_nowhere_are_refused(
    logdir: Path, change: Callable[[Index, Index], object]
) -> None:
    def alter(index: Index) -> None:
        change(index["layers"][0]["asset"], index["layers"][1]["asset"])

    relog(logdir / "a", alter, open_snapshot(logdir, "a@0"))
    listing = list_snapshots(logdir)
    assert len(listing.snapshots) == 4
    assert len(listing.problems) == 1


def test_a_part_beyond_the_end_of_its_file_is_refused(logdir: Path) -> None:
    from tb_modelcompare.errors import CorruptSnapshotError

    def alter(index: Index) -> None:
        index["layers"][1]["asset"]["offset"] = 2**30

    relog(logdir / "a", alter, open_snapshot(logdir, "a@0"))
    altered = open_snapshot(logdir, "a/altered")
    with pytest.raises(CorruptSnapshotError, match="bytes"):
        altered.activations("deep/conv2")
    assert altered.activations("conv1").shape == (30, 4)


def test_two_layers_may_be_the_same_part(logdir: Path) -> None:
    def alter(index: Index) -> None:
        index["layers"].append({**index["layers"][0], "name": "again"})

    relog(logdir / "a", alter, open_snapshot(logdir, "a@0"))
    altered = open_snapshot(logdir, "a/altered")
    np.testing.assert_array_equal(altered.activations("again"), altered.activations("conv1"))


def test_arrays_that_no_record_names_go_with_the_next_deletion_once_they_are_old(
    tmp_path: Path, probe: Probe
) -> None:
    """A writer that is at work has arrays that no record names yet."""
    run = tmp_path / "run"
    log_steps(run, probe, range(2))
    fresh, old = (run / f"plugins/modelcompare/arrays/net-{n}-0.bin" for n in (7, 8))
    for file in (fresh, old):
        file.write_bytes(b"x")
    os.utime(old, (1e9, 1e9))
    with SummaryWriter(run, probe) as writer:
        writer.remove("net", 0)
    assert fresh.exists()
    assert not old.exists()
    require_all(tmp_path, [1])

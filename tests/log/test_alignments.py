"""A user's own numbers for pairs of layers: written beside snapshots, and read with distrust."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter, list_snapshots, open_snapshot
from tb_modelcompare.errors import (
    CorruptSnapshotError,
    LayerSelectionError,
    MissingAssetError,
    OptionError,
    ProbeMismatchError,
    UnknownSnapshotError,
)

LINES = {("conv1", "deep/conv2"): 0.5, ("deep/conv2", "conv1"): -0.25}


def add(logdir: Path, probe: Probe, lines: Any = LINES, name: str = "By hand") -> Path:
    """Add an alignment from a run of its own; its record."""
    with SummaryWriter(logdir / "mine", probe) as writer:
        writer.add_alignment(name, f"{logdir}:a@5", open_snapshot(logdir, "a@0"), lines)
    return max(logdir.rglob("alignment.json"))


def test_it_is_read_as_it_was_given(logdir: Path, probe: Probe) -> None:
    add(logdir, probe)
    listing = list_snapshots(logdir)
    (found,) = listing.alignments
    assert listing.problems == ()
    assert (found.name, found.a.id, found.b.id) == ("By hand", "a/net@5", "a/net@0")
    assert (found.low, found.high) == (-0.25, 1.0)
    np.testing.assert_array_equal(found.values(), [[np.nan, 0.5], [-0.25, np.nan]])


def test_models_of_the_run_are_named_by_name_and_step(logdir: Path, probe: Probe) -> None:
    with SummaryWriter(logdir / "b", probe) as writer:
        writer.add_alignment("Expected", ("one", 0), ("two/half", 0), np.full((2, 2), 3.0))
    (found,) = list_snapshots(logdir).alignments
    assert (found.a.name, found.b.name) == ("one", "two/half")
    assert (found.low, found.high) == (0.0, 3.0)


def test_one_that_is_added_again_takes_the_place_of_the_former(logdir: Path, probe: Probe) -> None:
    add(logdir, probe)
    add(logdir, probe, {("conv1", "conv1"): 0.75})
    (found,) = list_snapshots(logdir).alignments
    np.testing.assert_array_equal(found.values(), [[0.75, np.nan], [np.nan, np.nan]])
    assert len(list(logdir.rglob("values.npy"))) == 1


def test_logs_can_be_moved_and_a_part_of_them_opened(logdir: Path, probe: Probe) -> None:
    add(logdir, probe)
    moved = logdir.with_name("moved")
    shutil.move(logdir, moved)
    assert [one.a.id for one in list_snapshots(moved).alignments] == ["a/net@5"]
    part = list_snapshots(moved / "mine")
    assert (part.alignments, part.problems) == ((), ())


def test_other_activations_under_the_same_name_are_another_matter(
    logdir: Path, probe: Probe
) -> None:
    add(logdir, probe)
    with SummaryWriter(logdir / "a", probe) as writer:
        writer.add_activations("net", {"conv1": np.ones((30, 4)), "deep/conv2": np.eye(30)}, step=5)
    listing = list_snapshots(logdir)
    assert listing.alignments == ()
    (problem,) = listing.problems
    assert "add the alignment again" in problem.message


@pytest.mark.parametrize(
    ("a", "b", "lines", "error"),
    [
        ("a@5", "b/one", {("conv9", "conv1"): 1.0}, LayerSelectionError),
        ("a@5", "b/one", {("conv1", "conv1"): "much"}, OptionError),
        ("a@5", "b/one", {("conv1", "conv1"): float("inf")}, OptionError),
        ("a@5", "b/one", np.ones((3, 2)), OptionError),
        ("a@5", "b/one", {}, OptionError),
        ("a@7", "b/one", LINES, UnknownSnapshotError),
        ("a@5", "other", LINES, ProbeMismatchError),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    logdir: Path, probe: Probe, a: str, b: str, lines: Any, error: type[Exception]
) -> None:
    with SummaryWriter(logdir / "other", Probe(probe.images[:5])) as writer:
        writer.add_activations("net", {"conv1": np.ones((5, 4))})
    with SummaryWriter(logdir / "mine", probe) as writer, pytest.raises(error):
        writer.add_alignment("By hand", f"{logdir}:{a}", f"{logdir}:{b}", lines)
    assert not (logdir / "mine").exists()


HOSTILE = {
    "no object": lambda record: [],
    "another version": lambda record: {**record, "version": 2},
    "a name that breaks lines": lambda record: {**record, "name": "x\ny"},
    "a long name": lambda record: {**record, "name": "x" * 201},
    "no name": lambda record: {**record, "name": None},
    "a huge scale": lambda record: {**record, "high": 10**400},
    "a scale upside down": lambda record: {**record, "low": 2, "high": 1},
    "a truth for a number": lambda record: {**record, "low": False},
    "a time that is none": lambda record: {**record, "wall_time": "now"},
    "a snapshot that is none": lambda record: {**record, "a": "a@5"},
    "a step that is none": lambda record: {**record, "b": {**record["b"], "step": -1}},
    "a path with a zero": lambda record: {**record, "a": {**record["a"], "run": "\0"}},
    "values elsewhere": lambda record: {
        **record,
        "values": {**record["values"], "path": "plugins/modelcompare/../../../etc/passwd"},
    },
    "values without end": lambda record: {
        **record,
        "values": {**record["values"], "bytes": 2**40},
    },
    "more than is read": lambda record: {**record, "more": "x" * 2**16},
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_record_that_anyone_may_have_written_is_a_problem_and_no_more(
    logdir: Path, probe: Probe, how: str
) -> None:
    record = add(logdir, probe)
    record.write_text(json.dumps(HOSTILE[how](json.loads(record.read_text()))))
    listing = list_snapshots(logdir)
    assert len(listing.snapshots) == 4
    assert listing.alignments == ()
    assert [problem.where for problem in listing.problems] == [str(record.parent)]


def test_a_run_outside_of_the_logs_is_not_looked_into(logdir: Path, probe: Probe) -> None:
    record = add(logdir, probe)
    value = json.loads(record.read_text())
    record.write_text(json.dumps({**value, "a": {**value["a"], "run": "../../../etc"}}))
    listing = list_snapshots(logdir)
    assert (listing.alignments, listing.problems) == ((), ())


def test_other_values_than_were_written_are_not_read(logdir: Path, probe: Probe) -> None:
    values = add(logdir, probe).with_name("values.npy")
    content = bytearray(values.read_bytes())
    content[-1] ^= 1
    values.write_bytes(content)
    (found,) = list_snapshots(logdir).alignments
    with pytest.raises(CorruptSnapshotError, match="not what was logged"):
        found.values()
    values.unlink()
    with pytest.raises(MissingAssetError):
        found.values()

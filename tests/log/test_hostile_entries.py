"""Entries of a log directory that are no runs, no files, or gone: one problem each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from altered import Index, relog

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.cli import main
from tb_modelcompare.log.reader import Listing, list_snapshots, open_snapshot

IDS = ["a/net@0", "a/net@5", "b/one@0", "b/two%2Fhalf@0"]
SNAPSHOTS = "plugins/modelcompare/snapshots"


def ids(listing: Listing) -> list[str]:
    return [snapshot.id for snapshot in listing.snapshots]


def aged(path: Path) -> None:
    os.utime(path, (0, 0), follow_symlinks=False)


def dangling_link(logs: Path) -> None:
    link = logs / "a" / SNAPSHOTS / "x"
    link.symlink_to("/nonexistent")
    aged(link)


def dangling_event_file(logs: Path) -> None:
    (logs / "a" / "events.out.tfevents.1.x").symlink_to("/nonexistent")


def linked_to_itself(logs: Path) -> None:
    (logs / "a" / "events.out.tfevents.1.x").symlink_to("events.out.tfevents.1.x")


def pipe(logs: Path) -> None:
    os.mkfifo(logs / "a" / "events.out.tfevents.1.x")


def device(logs: Path) -> None:
    (logs / "a" / "events.out.tfevents.1.x").symlink_to("/dev/zero")


def snapshots_are_a_file(logs: Path) -> None:
    (logs / "c" / "plugins" / "modelcompare").mkdir(parents=True)
    (logs / "c" / SNAPSHOTS).touch()
    (logs / "c" / "events.out.tfevents.1.x").write_bytes(b"\0" * 50)


def name_that_is_no_text(logs: Path) -> None:
    run = os.fsencode(logs / "c") + b"\xff"
    os.mkdir(run)
    for file in (logs / "a").glob("*tfevents*"):
        shutil.copy(file, os.path.join(run, os.fsencode(file.name)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other file systems, other names")
@pytest.mark.parametrize(
    "damage",
    [
        dangling_link,
        dangling_event_file,
        linked_to_itself,
        pipe,
        device,
        snapshots_are_a_file,
        name_that_is_no_text,
    ],
)
def test_a_bad_entry_is_one_problem_and_the_rest_is_listed(
    logdir: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(logdir)
    listing = list_snapshots(logdir)
    assert ids(listing) == IDS
    assert len(listing.problems) == 1
    assert main(["list", str(logdir)]) == 2
    printed = capsys.readouterr()
    assert all(one in printed.out for one in IDS)
    printed.err.encode()


def test_directories_as_deep_as_there_can_be_are_passed_through(logdir: Path) -> None:
    """More than Python's own limit of calls within calls."""
    script = "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')"
    subprocess.run([sys.executable, "-c", script], cwd=logdir, check=True)
    try:
        assert ids(list_snapshots(logdir)) == IDS
    finally:  # what deletes the directories of tests would call itself for each
        subprocess.run(["rm", "-rf", str(logdir / "d")], check=True)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Paths that this user may not read; root may read all, so the system calls are told."""
    paths: set[str] = set()

    def guard(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(path: Any, *args: Any, **more: Any) -> Any:
            if isinstance(path, (str, os.PathLike)) and os.fspath(path) in paths:
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return real(path, *args, **more)

        monkeypatch.setattr(module, name, call)

    for name in ("open", "scandir", "listdir"):
        guard(os, name)
    yield paths
    paths.clear()


@pytest.mark.parametrize("what", ["run", "event file", "snapshots"])
def test_what_this_user_may_not_read_is_one_problem(
    logdir: Path, refused: set[str], what: str
) -> None:
    run = logdir / "b"
    event_file = next(run.glob("*tfevents*"))
    refused.add(str({"run": run, "event file": event_file, "snapshots": run / SNAPSHOTS}[what]))
    listing = list_snapshots(logdir)
    assert ids(listing) == (IDS if what == "snapshots" else IDS[:2])
    [problem] = listing.problems
    assert "Permission denied" in problem.message
    assert "b" in problem.where


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i["graph"].update(path=f"{SNAPSHOTS}/\ud800/graph.json"),
        lambda i: i["graph"].update(path=f"{SNAPSHOTS}/{'x' * 3000}/graph.json"),
        lambda i: i["graph"].update(path=f"{SNAPSHOTS}/" + "x/" * 3000 + "graph.json"),
        lambda i: i.update(name="\udfff"),
        lambda i: i["layers"][0].update(name="\ud800"),
        lambda i: i.update(wall_time=1e308),
        lambda i: i.update(wall_time=10**400),
        lambda i: i.update(wall_time=-1e12),
        lambda i: i.update(wall_time=-1),
        lambda i: i.update(wall_time=float("nan")),
        lambda i: i.update(preprocessing={"scale": [10**400], "offset": [0], "bgr": False}),
    ],
)
def test_an_index_that_no_reader_could_show_is_one_problem(
    logdir: Path, change: Callable[[Index], object], capsys: pytest.CaptureFixture[str]
) -> None:
    relog(logdir / "a", change, open_snapshot(logdir, "a@0"))
    assert main(["list", str(logdir)]) == 2
    printed = capsys.readouterr()
    assert all(one in printed.out for one in IDS)
    assert len(printed.err.splitlines()) == 1


def test_letters_beyond_the_first_plane_are_text(tmp_path: Path, probe: Probe) -> None:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net 🐦", {"layer 🐦": np.ones((30, 2))})
    snapshot = open_snapshot(tmp_path, "run")
    assert (snapshot.name, snapshot.layer_names) == ("net 🐦", ("layer 🐦",))
    assert snapshot.graph().nodes[0].name == "layer 🐦"


def test_listing_beside_a_writer_that_logs_and_removes_meets_no_problem(logdir: Path) -> None:
    """Directories appear, are renamed and vanish between any two listings."""
    script = """
import sys, numpy as np
from tb_modelcompare import Probe, SummaryWriter
probe = Probe(np.zeros((2, 8, 8, 3), np.uint8))
with SummaryWriter(sys.argv[1], probe) as writer:
    for step in range(10**9):
        writer.add_activations("net", {"l": np.full((2, 3), step)}, step)
        writer.remove("net", max(step - 2, 0))
        if step == 5:
            print("ready", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(logdir / "busy")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        end = time.monotonic() + 3
        listings = 0
        while time.monotonic() < end:
            listing = list_snapshots(logdir)
            assert [one for one in ids(listing) if not one.startswith("busy")] == IDS
            # A listing may meet a record that is half written, and says so.
            at_work = "middle of a record: its writer is at work"
            assert [one for one in listing.problems if at_work not in one.message] == []
            listings += 1
        assert listings > 10
    finally:
        process.kill()
        process.communicate()


def test_nothing_is_said_of_files_that_a_record_may_yet_name(logdir: Path) -> None:
    """A torn or damaged event file hides records: their files are good."""
    event_file = next((logdir / "a").glob("*tfevents*"))
    for folder in (logdir / "a" / SNAPSHOTS).iterdir():
        aged(folder)
    content = event_file.read_bytes()
    event_file.write_bytes(content[:-1500])
    [problem] = list_snapshots(logdir).problems
    assert "middle of a record" in problem.message
    event_file.write_bytes(content.replace(b'"layers"', b'"LAYERS"'))
    [problem] = list_snapshots(logdir).problems
    assert "damaged" in problem.message


def test_files_that_no_record_names_are_told_of_without_advice_to_delete(logdir: Path) -> None:
    lost = logdir / "a" / SNAPSHOTS / "net-9-01234567"
    lost.mkdir()
    aged(lost)
    [problem] = list_snapshots(logdir).problems
    assert "read so far" in problem.message
    assert "delete" not in problem.message


def test_files_of_a_record_that_cannot_be_parsed_are_no_second_problem(logdir: Path) -> None:
    def misplace(index: Index) -> None:
        index["graph"]["path"] = f"{SNAPSHOTS}/other/graph.json"
        index["step"] = -1

    relog(logdir / "a", misplace, open_snapshot(logdir, "a@0"))
    other = logdir / "a" / SNAPSHOTS / "other"
    other.mkdir()
    aged(other)
    [problem] = list_snapshots(logdir).problems
    assert "bad step" in problem.message


def test_a_deleted_snapshot_is_marked(logdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = open_snapshot(logdir, "a@0")
    folder = Path(snapshot.run_dir, snapshot.graph_asset.path).parent
    shutil.rmtree(folder)
    listing = list_snapshots(logdir)
    assert ids(listing) == IDS
    assert listing.gone == {"a/net@0"}
    [problem] = listing.problems
    assert (problem.where, folder.name in problem.message) == ("a/net", True)
    assert main(["list", str(logdir)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("its files are gone") for line in lines[1:]] == [
        True,
        False,
        False,
        False,
    ]
    folder.mkdir()  # which says that it was deleted on purpose
    listing = list_snapshots(logdir)
    assert (ids(listing), listing.problems) == (IDS[1:], ())

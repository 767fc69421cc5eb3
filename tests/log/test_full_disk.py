"""A disk that is full for a moment: the call that fails says so, and nothing else is lost."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import LogDirectoryError
from tb_modelcompare.log import assets
from tb_modelcompare.log.events import EventFile, index_event
from tb_modelcompare.log.reader import list_snapshots
from tb_modelcompare.log.records import read_index_records

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")


@contextlib.contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Within, a write beyond so many bytes of a file fails, after writing what fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def steps_in(run: Path) -> list[int]:
    """Steps of all records; every event file must be whole."""
    scans = [read_index_records(file) for file in sorted(run.glob("*tfevents*"))]
    assert all(scan.whole for scan in scans)
    return [record.step for scan in scans for record in scan.records]


def test_a_record_that_did_not_fit_leaves_no_part_of_it_at_any_fill_level(tmp_path: Path) -> None:
    def event(step: int) -> object:
        return index_event("net", step, 1.7e9, "x" * 60)

    measured = EventFile(tmp_path / "measured")
    measured.write(event(0))
    [file] = (tmp_path / "measured").iterdir()
    size = file.stat().st_size
    measured.write(event(1))
    record = file.stat().st_size - size
    measured.close()
    assert record > 100
    for room in range(record):
        run = tmp_path / str(room)
        events = EventFile(run)
        events.write(event(0))
        with files_end_at(size + room), pytest.raises(LogDirectoryError, match="no room"):
            events.write(event(1))
        assert steps_in(run) == [0]
        events.write(event(2))
        events.write(event(3))
        events.close()
        assert steps_in(run) == [0, 2, 3]


def test_an_event_file_that_cannot_be_begun_leaves_none(tmp_path: Path) -> None:
    events = EventFile(tmp_path)
    for room in range(40):
        with files_end_at(room), pytest.raises(LogDirectoryError, match="no room"):
            events.write(index_event("net", 0, 1.7e9, "x"))
        assert list(tmp_path.iterdir()) == []
    events.write(index_event("net", 1, 1.7e9, "x"))
    events.close()
    assert steps_in(tmp_path) == [1]


def test_a_record_that_cannot_be_taken_back_ends_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    events = EventFile(tmp_path)
    events.write(index_event("net", 0, 1.7e9, "x"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", refuse)
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(LogDirectoryError, match="Input/output error"):
            events.write(index_event("net", 1, 1.7e9, "x"))
    events.write(index_event("net", 2, 1.7e9, "x"))
    events.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    assert [record.step for record in read_index_records(files[1]).records] == [2]


def layers(step: int, count: int = 40) -> dict[str, np.ndarray]:
    return {f"layer{i}": np.full((30, 2), step) for i in range(count)}


def test_a_writer_goes_on_after_a_failure_at_any_moment(tmp_path: Path, probe: Probe) -> None:
    """Whatever file could not be written, the others are listed and nothing of it is left."""
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net", layers(0), 0)
        [event_file] = (tmp_path / "run").glob("*tfevents*")
        size = event_file.stat().st_size
        logged = [0]
        # Of the arrays, of the layer graph, and of the record.
        for step, limit in enumerate((0, 100, 200, 2000, 8000, size, size + 99, size + 9000), 1):
            with contextlib.suppress(LogDirectoryError), files_end_at(limit):
                writer.add_activations("net", layers(step), step)
                logged.append(step)
            listing = list_snapshots(tmp_path)
            assert [s.step for s in listing.snapshots] == logged
            assert listing.problems == ()
            folders = list((tmp_path / "run/plugins/modelcompare/snapshots").iterdir())
            assert len(folders) == len(logged)
        assert len(logged) < 7
        writer.add_activations("net", layers(99), 99)
    for snapshot in list_snapshots(tmp_path).snapshots:
        for values in snapshot.all_activations().values():
            assert (values == snapshot.step).all()


def test_a_failure_spares_files_that_another_record_names(tmp_path: Path, probe: Probe) -> None:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net", layers(0), 0)
    with SummaryWriter(tmp_path / "run", probe) as writer:
        [event_file] = (tmp_path / "run").glob("*tfevents*")
        # Room for the arrays and the graph, and not for the record of the same contents.
        assert event_file.stat().st_size > 9_000
        with files_end_at(9_000), pytest.raises(LogDirectoryError):
            writer.add_activations("net", layers(0), 0)
    [snapshot] = list_snapshots(tmp_path).snapshots
    assert (snapshot.activations("layer7") == 0).all()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("may not mount a file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_nothing_is_lost_on_a_real_disk_that_was_full(small_disk: Path, probe: Probe) -> None:
    """What a run logs once there is room again is there, wherever in a snapshot it ended."""
    full = small_disk / "full"
    with SummaryWriter(small_disk / "run", probe) as writer:
        writer.add_activations("net", layers(0, 10), 0)
        logged, complaints = [0], set()
        for step in range(1, 13):
            free = os.statvfs(small_disk)
            room = (step - 1) * 4096 * 2
            full.write_bytes(b"x" * max(0, free.f_bavail * free.f_frsize - room))
            try:
                writer.add_activations("net", layers(step, 10), step)
                logged.append(step)
            except LogDirectoryError as error:
                complaints.add(str(error).partition(": ")[2][:16])
            finally:
                full.unlink()
            listing = list_snapshots(small_disk)
            assert [s.step for s in listing.snapshots] == logged
            assert listing.problems == ()
        writer.add_activations("net", layers(99, 10), 99)
    assert [s.step for s in list_snapshots(small_disk).snapshots] == [*logged, 99]
    assert 1 < len(logged) < 12
    assert complaints == {"there is no room"}


def test_a_probe_that_does_not_fit_leaves_nothing(small_disk: Path) -> None:
    large = Probe(np.zeros((2, 1000, 1000, 3), np.uint8))
    with (
        SummaryWriter(small_disk / "run", large) as writer,
        pytest.raises(LogDirectoryError, match="no room"),
    ):
        writer.add_activations("net", {"a": np.ones((2, 2))})
    assert [file for file in small_disk.rglob("*") if file.is_file()] == []


def test_a_removal_without_room_removes_nothing(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net", layers(0), 0)
        with monkeypatch.context() as patched:
            patched.setattr(assets.Path, "mkdir", refuse)
            with pytest.raises(LogDirectoryError, match="no room"):
                writer.remove("net", 0)
    [snapshot] = list_snapshots(tmp_path).snapshots
    assert (snapshot.activations("layer3") == 0).all()


def test_a_directory_that_may_not_be_written_is_named(
    tmp_path: Path, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    writer = SummaryWriter(tmp_path / "run", probe)
    monkeypatch.setattr(assets.Path, "mkdir", refuse)
    with pytest.raises(LogDirectoryError, match=r"run.*Permission denied"):
        writer.add_activations("net", layers(0), 0)

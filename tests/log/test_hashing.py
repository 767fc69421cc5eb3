"""Files are hashed once, together, and for no longer than who asks may wait."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tb_modelcompare.errors import CorruptSnapshotError, LimitError
from tb_modelcompare.log import hashing
from tb_modelcompare.log.hashing import known_digest, time_limit


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the blocks that are hashed from now on."""
    seen: list[int] = []

    class Counting:
        def __init__(self) -> None:
            self.real = hashlib.sha256()

        def update(self, block: bytes) -> None:
            seen.append(len(block))
            self.real.update(block)

        def hexdigest(self) -> str:
            return self.real.hexdigest()

    real = hashing._Hashing
    monkeypatch.setattr(hashing, "_Hashing", lambda: real(sha256=Counting()))
    monkeypatch.setattr(hashing, "BLOCK_BYTES", 1000)
    return seen


def test_many_who_ask_at_once_share_one_hashing(tmp_path: Path, blocks: list[int]) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(100_500))
    with ThreadPoolExecutor(16) as pool:
        digests = set(pool.map(known_digest, [file] * 64))
    assert digests == {hashlib.sha256(file.read_bytes()).hexdigest()}
    assert sum(blocks) == 100_500
    known_digest(file)
    assert sum(blocks) == 100_500
    file.write_bytes(b"other")
    assert known_digest(file) == hashlib.sha256(b"other").hexdigest()


def test_hashing_ends_at_the_deadline_and_goes_on_from_there(
    tmp_path: Path, blocks: list[int]
) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as stream:
        stream.truncate(3_000_000)
    asked = 0
    while True:
        asked += 1
        try:
            with time_limit(0.002):
                digest = known_digest(file)
            break
        except LimitError as error:
            assert "ask again" in str(error)  # noqa: PT017 (until it is done)
    assert asked > 1
    assert digest == hashlib.sha256(bytes(3_000_000)).hexdigest()
    assert sum(blocks) == 3_000_000


def test_a_file_without_end_stops_when_the_time_is_over(tmp_path: Path) -> None:
    """And a small one is done meanwhile."""
    endless, small = tmp_path / "endless", tmp_path / "small"
    with endless.open("wb") as stream:
        stream.truncate(2**38)
    small.write_bytes(b"small")
    ended: list[float] = []

    def ask() -> None:
        with time_limit(0.5), pytest.raises(LimitError):
            known_digest(endless)
        ended.append(time.monotonic() - begun)

    begun = time.monotonic()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    with time_limit(0.5):
        assert known_digest(small) == hashlib.sha256(b"small").hexdigest()
    for thread in threads:
        thread.join()
    assert len(ended) == 4
    assert max(ended) < 5  # far less than the minutes that it would take
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.2  # nobody goes on


def test_a_file_that_changes_while_it_is_hashed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(5000))
    monkeypatch.setattr(hashing, "BLOCK_BYTES", 1000)
    real = hashing.open_regular

    def cut_meanwhile(path: Path) -> object:
        stream = real(path)
        os.truncate(path, 10)
        return stream

    monkeypatch.setattr(hashing, "open_regular", cut_meanwhile)
    with pytest.raises(CorruptSnapshotError, match="changed"):
        known_digest(file)

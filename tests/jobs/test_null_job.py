"""The null of all pairs of layers goes on from where it had to make way."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.jobs.registry import task_from_request
from tb_modelcompare.jobs.runtime.progress import request_cancel
from tb_modelcompare.jobs.runtime.records import State
from tb_modelcompare.jobs.runtime.work import Outcome, call_of
from tb_modelcompare.log.reader import open_snapshot


class StoppingCache(ResultCache):
    """Asks a job to stop once it has kept so many results."""

    def __init__(self, directory: Path, job: Path, after: int) -> None:
        super().__init__(directory)
        self.job, self.after, self.kept = job, after, 0

    def put(self, *args: Any) -> Any:
        self.kept += 1
        stored = super().put(*args)
        if self.kept == self.after:
            request_cancel(self.job)
        return stored


@pytest.mark.parametrize("measure", ["mean_cca", "mutual_knn"])
def test_a_null_that_was_interrupted_goes_on_and_gives_the_same_bits(
    measure: str, session_logs: Path, tmp_path: Path
) -> None:
    body = {"kind": "chance", "a": "first/net@0", "b": "second/net@0", "measure": measure}
    task = task_from_request(body, functools.partial(open_snapshot, session_logs))

    def run(place: str, cache: str, after: int = 0) -> tuple[Outcome, StoppingCache]:
        job = tmp_path / place
        job.mkdir()
        kept = StoppingCache(tmp_path / cache, job, after)
        function, *arguments = call_of(task, job, kept, "cpu")
        return function(*arguments), kept

    outcome, cache = run("interrupted", "cache", after=2)
    assert (outcome.state, cache.kept) == (State.CANCELLED, 2)
    outcome, cache = run("gone on", "cache")
    assert (outcome.state, cache.kept) == (State.DONE, 3)
    whole, cache = run("whole", "another cache")
    assert (whole.report, cache.kept) == (outcome.report, 5)
    files = [tmp_path / place / "null-mean.npy" for place in ("gone on", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()

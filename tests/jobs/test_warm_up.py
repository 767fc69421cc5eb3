"""The renderer is made ready for a layer before a picture is asked for."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import HANG
from queues import children, hang, wait_for
from rendered import PLAIN, A, analogies
from serving import Server, error_of

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.jobs.registry import task_from_request
from tb_modelcompare.jobs.runtime import lanes
from tb_modelcompare.jobs.runtime.executors import local_executor
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import RENDERS, State
from tb_modelcompare.log.reader import open_snapshot


def test_the_renderer_is_warmed_up_for_a_layer_that_can_be_rendered(
    models: Path, serve: Callable[..., Server]
) -> None:
    server = serve(models)
    before = children()
    server.json("layer", snapshot=A, layer="conv1")
    assert children() <= before  # asking about a layer changes nothing
    refused = error_of(server.post("warm_up", {"snapshot": PLAIN, "layer": "conv1"}))
    assert refused[:2] == (422, "NotRenderableError")
    assert server.post("warm_up", {"snapshot": A, "layer": "conv1"}).status_code == 200
    deadline = time.monotonic() + HANG
    while children() <= before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.json("jobs") == {"jobs": []}
    done = server.wait(server.ask(analogies(steps=4))["id"])
    assert done["status"] == "done"


def test_a_warm_up_that_hangs_makes_way(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "WARM_UP_SECONDS", 0.5)
    jobs = JobQueue(ResultCache(), {RENDERS: (local_executor, 1)})
    before = children()
    try:
        jobs.warm_up(hang, 600.0)
        deadline = time.monotonic() + HANG
        while children() <= before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        task = task_from_request(analogies(steps=2), functools.partial(open_snapshot, models))
        jobs.submit(task)
        wait_for(jobs, task.key, State.DONE)
    finally:
        jobs.close()

"""Tasks, quick and slow, and how to wait for them without HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tb_modelcompare.jobs.runtime.executors import WorkerProcess
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import MATHEMATICS, Task
from tb_modelcompare.log.reader import open_snapshot

A, B = "first/net@0", "second/net@0"

Queues = Callable[..., JobQueue]


def quick_task(logs: Path, measure: str = "linear_cka") -> Task:
    a, b = open_snapshot(logs, A), open_snapshot(logs, B)
    payload = {"a": a.to_payload(), "b": b.to_payload(), "measure": measure}
    return Task("similarity", MATHEMATICS, f"{len(measure):064x}", payload)


def slow_task(logs: Path, number: int = 1) -> Task:
    a, b = (open_snapshot(logs, f"wide/net@{step}") for step in (0, 1))
    payload = {"a": a.to_payload(), "b": b.to_payload(), "measure": "whitened_correlation"}
    return Task("similarity", MATHEMATICS, f"{number:064x}", payload)


def wait_for(jobs: JobQueue, job_id: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = jobs.status(job_id)
        if status["status"] in statuses:
            return status
        assert status["status"] in ("queued", "running"), status["error"]
        time.sleep(0.05)
    raise AssertionError(f"not {statuses} but {status} after {seconds} s")


def computing(jobs: JobQueue, job_id: str) -> dict[str, Any]:
    """Wait until the worker has reported from within the computation."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = wait_for(jobs, job_id, "running")
        if "layers" in status["message"]:
            return status
        time.sleep(0.05)
    raise AssertionError(status)


def worker_pid(jobs: JobQueue) -> int:
    executor = jobs._lanes[MATHEMATICS]._executor
    assert isinstance(executor, WorkerProcess)
    (pid,) = executor._processes
    return pid


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

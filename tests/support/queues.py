"""Tasks, quick and slow, and how to wait for them without HTTP."""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import NoReturn

from patience import HANG

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.jobs.registry import task_from_request
from tb_modelcompare.jobs.runtime.executors import WorkerProcess
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import MATHEMATICS, Job, Limits, State, Task
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.reader import open_snapshot

A, B = "first/net@0", "second/net@0"

Queues = Callable[..., JobQueue]

# The workers that each queue of these tests was given, the latest last.
_workers: dict[JobQueue, list[Executor]] = {}


def started_queue(make: Callable[[], Executor], limits: Limits) -> JobQueue:
    """A queue for jobs without pictures, whose workers `worker_pid` knows."""
    workers: list[Executor] = []

    def executor() -> Executor:
        workers.append(make())
        return workers[-1]

    jobs = JobQueue(ResultCache(), {MATHEMATICS: (executor, 1)}, limits)
    _workers[jobs] = workers
    return jobs


def quick_task(logs: Path, measure: str = "linear_cka") -> Task:
    body = {"kind": "similarity", "a": A, "b": B, "measure": measure}
    return task_from_request(body, functools.partial(open_snapshot, logs))


def slow_task(logs: Path, number: int = 1) -> Task:
    """Tasks of different numbers are different jobs."""
    sides = {"a": "wide/net@0", "b": "wide/net@1"}
    body = {"kind": "similarity", **sides, "measure": "whitened_correlation"}
    task = task_from_request(body, functools.partial(open_snapshot, logs))
    return dataclasses.replace(task, key=f"{number:064x}")


def idle_task(logs: Path, number: int = 1) -> Task:
    """A task that waits until it is stopped and computes nothing, where only the queue matters."""
    return dataclasses.replace(quick_task(logs), key=f"{number:064x}", run=_wait_to_be_stopped)


def _wait_to_be_stopped(inputs: object, workplace: Workplace) -> NoReturn:
    while True:
        workplace.progress.publish(0.0, "comparing no layers")
        workplace.progress.check()
        time.sleep(0.02)


def wait_for(jobs: JobQueue, job_id: str, *states: State, seconds: float = HANG) -> Job:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = jobs.status(job_id)
        if job.state in states:
            return job
        assert job.state.active, job
        time.sleep(0.05)
    raise AssertionError(f"not {states} but {job} after {seconds} s")


def computing(jobs: JobQueue, job_id: str) -> Job:
    """Wait until the worker has reported from within the computation."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = wait_for(jobs, job_id, State.RUNNING)
        if "layers" in job.message:
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def worker_pid(jobs: JobQueue) -> int:
    """The process in which the queue's jobs run now."""
    worker = _workers[jobs][-1]
    assert isinstance(worker, WorkerProcess)
    pid = worker.processes[-1].pid
    assert pid is not None
    return pid


def children() -> set[int | None]:
    """Processes that this one has started through multiprocessing."""
    return {process.pid for process in multiprocessing.active_children()}


def hang(seconds: float, device: str) -> None:
    """A warm-up that a worker does not end by itself."""
    time.sleep(seconds)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

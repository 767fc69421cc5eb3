"""A lane: the executor that runs one kind of job, made when needed and replaced when it dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tb_modelcompare.jobs.runtime import progress
from tb_modelcompare.jobs.runtime.executors import WorkerProcess, local_executor
from tb_modelcompare.jobs.runtime.records import State, Stop
from tb_modelcompare.jobs.runtime.work import Outcome

_POLL_SECONDS = 0.1
WARM_UP_SECONDS = 120.0


class Lane:
    """How to make an executor, how many jobs it runs at a time, and the threads that feed it."""

    def __init__(self, make: Callable[[], Executor], slots: int) -> None:
        self._make = make
        self._executor: Executor | None = None
        self._lock = threading.Lock()
        self.slots = slots
        self.threads: list[threading.Thread] = []

    def submit(self, function: Callable[..., Any], *args: Any) -> tuple[Executor, Future[Any]]:
        """Hand over to a worker that is alive, as far as can be known."""
        with self._lock:
            if self._executor is not None:
                try:
                    return self._executor, self._executor.submit(function, *args)
                except (BrokenExecutor, RuntimeError):  # it ended since the last job
                    self._executor = None
            self._executor = self._make()
            return self._executor, self._executor.submit(function, *args)

    @property
    def local(self) -> bool:
        """Whether jobs run on this machine."""
        return self._make is local_executor

    def warm_up(self, call: tuple[Any, ...], ending: Callable[[], bool]) -> None:
        """Let a worker prepare for renders; whatever goes wrong is for the job itself to say."""
        executor, future = self.submit(*call)
        deadline = time.monotonic() + WARM_UP_SECONDS
        while not wait([future], timeout=_POLL_SECONDS).done:
            late = time.monotonic() > deadline  # jobs wait behind it
            if (late or ending()) and isinstance(executor, WorkerProcess):
                executor.kill()

    def drop(self) -> str:
        """Forget an executor that broke, so that the next job gets a new one; says why it did."""
        with self._lock:
            executor, self._executor = self._executor, None
        return executor.death() if isinstance(executor, WorkerProcess) else "the workers ended"

    def release(self) -> None:
        """End the workers until the next job."""
        with self._lock:
            executor, self._executor = self._executor, None
        if isinstance(executor, WorkerProcess):
            executor.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Reasons:
    """Asked while a job runs: why it should stop, and whether the whole server ends."""

    to_stop: Callable[[], Stop | None]
    ending: Callable[[], bool]


def watched(
    lane: Lane, call: tuple[Any, ...], directory: Path, reasons: Reasons, grace_seconds: float
) -> Outcome:
    """Hand a job over and wait for its outcome.

    Parameters
    ----------
    lane : Lane
    call : (function, argument, …)
        What the worker calls, as `work.call_of` makes it.
    directory : Path
        Where the job reports its progress and asks whether to stop.
    reasons : Reasons
    grace_seconds : float
        From asking the job to stop until its process is ended.

    Raises
    ------
    BrokenExecutor
        If the worker died of this job. One that died while idle is noticed only by using it,
        and replaced.
    """
    try:
        return _watched(lane, call, directory, reasons, grace_seconds)
    except BrokenExecutor:
        began = progress.read_progress(directory) is not None
        if began or reasons.to_stop() is not None:
            raise
        lane.drop()
        return _watched(lane, call, directory, reasons, grace_seconds)


def _watched(
    lane: Lane, call: tuple[Any, ...], directory: Path, reasons: Reasons, grace_seconds: float
) -> Outcome:
    executor, future = lane.submit(*call)
    asked_to_stop: float | None = None
    while not wait([future], timeout=_POLL_SECONDS).done:
        if reasons.to_stop() is None:
            continue
        if asked_to_stop is None:
            asked_to_stop = time.monotonic()
            progress.request_cancel(directory)
            future.cancel()  # where a cluster has not begun it
        if reasons.ending() or time.monotonic() - asked_to_stop > grace_seconds:
            if not isinstance(executor, WorkerProcess):  # a cluster's workers are not ours
                return Outcome(State.CANCELLED)
            executor.kill()
    outcome: Outcome = future.result()
    return outcome

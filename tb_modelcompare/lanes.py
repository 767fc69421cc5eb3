"""A lane: the executor that runs one kind of job, made when needed and replaced when it dies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any

from tb_modelcompare import tasks
from tb_modelcompare.executors import WorkerProcess, local_executor


class Lane:
    """How to make an executor, how many jobs it runs at a time, and the threads that feed it."""

    def __init__(self, make: Callable[[], Executor], slots: int) -> None:
        self._make = make
        self._executor: Executor | None = None
        self._lock = threading.Lock()
        self.slots = slots
        self.threads: list[threading.Thread] = []

    def submit(
        self, function: Callable[..., dict[str, Any]], *args: Any
    ) -> tuple[Executor, Future[dict[str, Any]]]:
        """Hand over to a worker that is alive, as far as can be known."""
        with self._lock:
            if self._executor is not None:
                try:
                    return self._executor, self._executor.submit(function, *args)
                except (BrokenExecutor, RuntimeError):  # it ended since the last job
                    self._executor = None
            self._executor = self._make()
            return self._executor, self._executor.submit(function, *args)

    def warm_up(self) -> bool:
        """Whether a local worker was started."""
        with self._lock:
            if self._executor is None and self._make is local_executor:
                self._executor = self._make()
                self._executor.submit(tasks.warm_up)
                return True
        return False

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

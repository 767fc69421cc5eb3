"""Pictures for whoever waits for them: a task is run in a worker process, or found in the cache."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tb_modelcompare import errors
from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.errors import ModelCompareError
from tb_modelcompare.jobs.runtime.executors import local_executor
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import (
    RENDERS,
    JobItem,
    Limits,
    NamedError,
    State,
    Task,
)

_POLL_SECONDS = 0.2

Picture = npt.NDArray[np.uint8]


class JobFailedError(ModelCompareError):
    """The worker process did not finish the pictures."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a finished job says of one picture, and the picture, where there can be one."""

    item: JobItem
    picture: Picture | None


def draw_now(task: Task, device: str, follow: Callable[[float, str], None]) -> list[Drawn]:
    """Run a task of pictures to its end; `follow` hears the share done and what is being done.

    An item that can have no picture says why in its `problem`.

    Raises
    ------
    JobFailedError
        If the worker did not finish.
    """
    (drawn,) = draw_all([task], device, follow)
    return drawn


def draw_all(
    tasks: Sequence[Task], device: str, follow: Callable[[float, str], None]
) -> list[list[Drawn]]:
    """Run tasks of pictures one after the other in one worker, as `draw_now` runs one.

    However long it takes: whoever waits can stop it, and finds what was drawn in the cache.

    Raises
    ------
    JobFailedError
        If the worker did not finish.
    """
    cache = ResultCache()
    limits = Limits(job_seconds=math.inf)
    queue = JobQueue(cache, {RENDERS: (local_executor, 1)}, limits, device=device)
    counts = [len(task.items) for task in tasks]
    known = [sum(cache.report(item.picture) is not None for item in task.items) for task in tasks]
    pace = _Pace(sum(counts) - sum(known))

    def draw(at: int, task: Task) -> list[Drawn]:
        status = queue.submit(task)
        while status.state.active:
            time.sleep(_POLL_SECONDS)
            status = queue.status(task.key)
            there = sum(counts[:at]) + status.fraction * counts[at]
            left = pace.left(there - sum(known[: at + 1]))
            said = f"{math.floor(there)} of {sum(counts)} pictures, {left}" if left else ""
            follow(there / max(1, sum(counts)), said or status.message)
        if status.state is not State.DONE:
            raise _failure(status.error or NamedError("JobFailedError", status.message))
        return [Drawn(item, _picture(queue, task.key, item)) for item in status.items]

    try:
        return [draw(at, task) for at, task in enumerate(tasks)]
    finally:
        queue.close()


class _Pace:
    """How long `count` pictures will still take, by those drawn since the first one began."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._began: tuple[float, float] | None = None

    def left(self, drawn: float) -> str | None:
        """The time left in words; None before a picture's worth of work was seen."""
        now = time.monotonic()
        if self._began is None and drawn > 0:
            self._began = now, drawn
        if self._began is None or drawn - self._began[1] < 1:
            return None
        each = (now - self._began[0]) / (drawn - self._began[1])
        seconds = each * max(0.0, self._count - drawn)
        return f"about {_in_words(seconds)} left"


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _picture(queue: JobQueue, job_id: str, item: JobItem) -> Picture | None:
    from PIL import Image

    if item.image is None:
        return None
    content, _ = queue.file(job_id, item.final_image)
    return np.asarray(Image.open(io.BytesIO(content)))


def _failure(error: NamedError) -> ModelCompareError:
    kind = getattr(errors, error.type, JobFailedError)
    return kind(error.message)

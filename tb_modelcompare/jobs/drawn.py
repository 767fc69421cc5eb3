"""Pictures for whoever waits for them: a task is run in a worker process, or found in the cache."""

from __future__ import annotations

import io
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
from tb_modelcompare.jobs.runtime.records import RENDERS, JobItem, NamedError, State, Task

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

    Raises
    ------
    JobFailedError
        If the worker did not finish.
    """
    queue = JobQueue(ResultCache(), {RENDERS: (local_executor, 1)}, device=device)

    def draw(at: int, task: Task) -> list[Drawn]:
        status = queue.submit(task)
        while status.state.active:
            time.sleep(_POLL_SECONDS)
            status = queue.status(task.key)
            follow((at + status.fraction) / len(tasks), status.message)
        if status.state is not State.DONE:
            raise _failure(status.error or NamedError("JobFailedError", status.message))
        return [Drawn(item, _picture(queue, task.key, item)) for item in status.items]

    try:
        return [draw(at, task) for at, task in enumerate(tasks)]
    finally:
        queue.close()


def _picture(queue: JobQueue, job_id: str, item: JobItem) -> Picture | None:
    from PIL import Image

    if item.image is None:
        return None
    content, _ = queue.file(job_id, item.final_image)
    return np.asarray(Image.open(io.BytesIO(content)))


def _failure(error: NamedError) -> ModelCompareError:
    kind = getattr(errors, error.type, JobFailedError)
    return kind(error.message)

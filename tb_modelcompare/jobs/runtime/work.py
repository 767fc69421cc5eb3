"""What happens in a worker process: a task is run, and its outcome goes back as plain values."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tb_modelcompare.cache.results import ResultCache, no_room
from tb_modelcompare.errors import ModelCompareError
from tb_modelcompare.jobs.runtime.progress import JobCancelledError, Progress
from tb_modelcompare.jobs.runtime.records import NamedError, State, Task


@dataclass(frozen=True)
class Workplace:
    """Where a task works.

    Attributes
    ----------
    directory : Path
        Where the task leaves the files of its result.
    cache : ResultCache
        Where finished pictures go at once, and where other jobs find them again.
    device : str
        What TensorFlow computes on.
    progress : Progress
        How far the task is, and whether it has to stop.
    """

    directory: Path
    cache: ResultCache
    device: str
    progress: Progress

    @classmethod
    def at(cls, directory: Path, cache: ResultCache, device: str) -> Workplace:
        """The workplace in this directory."""
        return cls(directory, cache, device, Progress(directory))


@dataclass(frozen=True)
class Outcome:
    """How a task ended: with a report, or with an error, or neither if it was cancelled.

    `traceback` is there where the failure is a defect of ours.
    """

    state: State
    report: dict[str, Any] | None = None
    error: NamedError | None = None
    traceback: str | None = None


def attempt(
    run: Callable[[Any, Workplace], msgspec.Struct],
    inputs: Any,
    directory: str,
    cache: ResultCache,
    device: str,
) -> Outcome:
    """Run a task; no exception has to cross a process."""
    try:
        result = run(inputs, Workplace.at(Path(directory), cache, device))
        return Outcome(State.DONE, msgspec.to_builtins(result))
    except JobCancelledError:
        return Outcome(State.CANCELLED)
    except ModelCompareError as error:
        return _failed(type(error).__name__, str(error))
    except OSError as error:
        problem = no_room(Path(directory), error)
        if problem is None:
            return _unexpected(error)
        return _failed("CacheDirectoryError", str(problem))
    except MemoryError:
        message = "the job needed more memory than there is; ask for fewer layers at a time"
        return _failed("LimitError", message)
    except Exception as error:  # noqa: BLE001  reported, and logged by the server
        return _unexpected(error)


def call_of(task: Task, directory: Path, cache: ResultCache, device: str) -> tuple[Any, ...]:
    """What a worker is to call for a task: a function and its arguments."""
    return (attempt, task.run, task.inputs, str(directory), cache, device)


def _unexpected(error: Exception) -> Outcome:
    named = NamedError(type(error).__name__, "an unexpected error; see TensorBoard's log")
    return Outcome(State.FAILED, error=named, traceback=traceback.format_exc())


def _failed(kind: str, message: str) -> Outcome:
    return Outcome(State.FAILED, error=NamedError(kind, message))

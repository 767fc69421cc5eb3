"""What a job is: the task, its bounds, and what the HTTP API says about it."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from tb_modelcompare.jobs.runtime import progress

# Lanes: what needs numpy only, and what needs TensorFlow.
MATHEMATICS, RENDERS = "mathematics", "renders"

# The file of a finished picture, in the cache under the picture's own key.
PICTURE = "picture.png"


class State(str, enum.Enum):
    """Where a job is on its way."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def active(self) -> bool:
        """Whether the job has still to end."""
        return self in (State.QUEUED, State.RUNNING)


class Stop(enum.Enum):
    """Why a job was stopped before its end."""

    REQUEST = "cancelled by request"
    LEFT = "nobody waits for it"
    ABANDONED = "nobody waited for it"
    SERVER_ENDS = "TensorBoard ends"
    TIME = "it took more than {seconds:.0f} s"
    MAKES_WAY = "something else was asked for; it begins anew after that"

    @property
    def state(self) -> State:
        """The state in which such a job ends, or waits for its turn."""
        others = {Stop.TIME: State.TIMED_OUT, Stop.MAKES_WAY: State.QUEUED}
        return others.get(self, State.CANCELLED)


class BestUnit(msgspec.Struct):
    """The unit of a layer that correlates best with the unit that was asked about."""

    unit: int
    correlation: float


class DrawnDirection(msgspec.Struct):
    """The direction that a picture of an analogy is drawn of, and how it answers to the unit.

    `correlation` is that of the activity along it with the unit's, on images that it was not
    fitted to; `low` and `high` are the ends of its 95 % interval over images, and `null` is the
    95 % quantile when images are permuted, null where they cannot be.
    """

    direction: Literal["regression", "pattern", "decoder"]
    correlation: float
    low: float
    high: float
    null: float | None


class JobItem(msgspec.Struct):
    """One picture of a job that makes pictures.

    `drawn` is of an analogy the direction of the picture, `r2` the cross-validated R² of
    predicting the unit from all of this layer, `picture` the key of the finished picture in the
    cache, `image` the relative address of the picture once there is one, and `problem` says why
    this layer has no picture and never will. `stronger_than` is the share of the probe's images
    that the finished picture exceeds along its direction: each is seen at the size of the model's
    input, and its activity averaged over positions.
    """

    key: str
    snapshot: str
    layer: str
    role: Literal["source", "difference", "analogy", "caricature"]
    picture: str
    drawn: DrawnDirection | None = None
    r2: float | None = None
    best_unit: BestUnit | None = None
    stronger_than: float | None = None
    problem: str | None = None
    image: str | None = None
    step: int = 0

    @property
    def final_image(self) -> str:
        """The name that the picture has when it is finished."""
        return f"{self.key}.png"

    @property
    def is_final(self) -> bool:
        """Whether the picture is finished."""
        return self.image == self.final_image


class NamedError(msgspec.Struct):
    """An error: the name of its class, and a sentence that says what to do."""

    type: str
    message: str


class Job(msgspec.Struct):
    """The status of a job.

    `status` is the word that every client knows. `state` tells a job that took too long
    ("timed_out", a kind of "failed") from one that failed otherwise. `position` is the number of
    jobs that wait before this one.

    `look` says which matrix of a similarity can be read: "first" is a progressive estimate,
    "exact" the values themselves. `revision` counts the matrices so far. `known` is what an
    unfinished job knows of its result.
    """

    id: str
    kind: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    state: State
    fraction: float
    message: str
    position: int | None
    cached: bool
    items: list[JobItem]
    estimate: Literal["first", "exact"] | None = msgspec.field(name="look")
    revision: int
    known: Any
    error: NamedError | None


@dataclass(frozen=True)
class Task:
    """What is to be computed.

    `key` is a digest of everything that the result depends on, `lane` the kind of worker. The
    worker calls `run(inputs, workplace)`, where `inputs` can be pickled. `items` are the pictures
    to expect.
    """

    kind: str
    lane: str
    key: str
    run: Callable[[Any, Any], msgspec.Struct]
    inputs: Any
    items: list[JobItem] = field(default_factory=list)


@dataclass(frozen=True)
class Limits:
    """Bounds on jobs.

    `abandoned_seconds`: a queued job, a running render, or a running job that a tab asked for, is
    cancelled if nobody asked about it for so long. Browsers let the timers of a hidden tab run
    once a minute.
    `grace_seconds`: from asking a job to stop until its process is ended.
    """

    queued: int = 32
    job_seconds: float = 3600.0
    abandoned_seconds: float = 90.0
    grace_seconds: float = 10.0
    idle_seconds: float = 900.0


@dataclass
class Entry:
    """A task on its way, and what became of it; changed under the queue's lock only.

    `watchers`: when each tab that wants the result last asked about it. `left`: one has gone.
    `background`: it runs while nothing else is asked for.
    """

    task: Task
    order: int
    background: bool = False
    state: State = State.QUEUED
    cached: bool = False
    asked_at: float = field(default_factory=time.monotonic)
    watchers: dict[str, float] = field(default_factory=dict)
    began_at: float = 0.0
    left: bool = False
    stop: Stop | None = None
    stop_message: str = ""
    directory: Path | None = None
    report: dict[str, Any] = field(default_factory=dict)
    error: NamedError | None = None

    def asked(self, watcher: str) -> None:
        """Somebody wants the result: a tab by its name, or "" who has none."""
        self.asked_at = time.monotonic()
        if watcher:
            self.watchers[watcher] = self.asked_at

    def reported(self) -> dict[str, Any]:
        """What the worker has made known so far, or at last."""
        if self.directory is not None:
            self.report = progress.read_progress(self.directory) or self.report
        return self.report

    def status(self, position: int | None) -> Job:
        """What the HTTP API says; `position` is that among the jobs that wait."""
        report = {"items": self.task.items, **self.reported()}
        running = report.get("message", "starting a worker process")
        message = {State.DONE: "", State.QUEUED: "waiting"}.get(self.state, running)
        return _job(
            self.task.key,
            {**report, "kind": self.task.kind},
            self.state,
            message=self.stop_message or message,
            position=position,
            cached=self.cached,
            error=self.error,
        )


def stored_job(job_id: str, report: dict[str, Any]) -> Job:
    """The status of a job whose result is in the cache."""
    return _job(job_id, report, State.DONE, cached=True)


def _job(
    job_id: str,
    report: dict[str, Any],
    state: State,
    *,
    message: str = "",
    position: int | None = None,
    cached: bool = False,
    error: NamedError | None = None,
) -> Job:
    matrix = report.get("matrix") or {"look": None, "revision": 0}
    done = state is State.DONE
    return Job(
        id=job_id,
        kind=str(report.get("kind", "")),
        status=(State.FAILED if state is State.TIMED_OUT else state).value,
        state=state,
        fraction=1.0 if done else report.get("fraction", 0.0),
        message=message,
        position=position,
        cached=cached,
        items=[_with_address(item, job_id) for item in items_of(report)],
        estimate=matrix["look"],
        revision=matrix["revision"],
        known=None if done else report.get("known"),
        error=error,
    )


def items_of(report: dict[str, Any]) -> list[JobItem]:
    """The pictures in a report."""
    return msgspec.convert(report.get("items", []), list[JobItem])


def without_lost_files(report: dict[str, Any]) -> dict[str, Any]:
    """What remains to be shown of a job that did not finish: its own files are gone."""
    items = items_of(report)
    kept = [item if item.is_final else _changed(item, image=None) for item in items]
    return {**report, "items": msgspec.to_builtins(kept), "matrix": None}


def picture_address(key: str) -> str:
    """The relative address of a finished picture, whichever job made it."""
    return f"job_image?id={key}&name={PICTURE}"


def _with_address(item: JobItem, job_id: str) -> JobItem:
    address = f"job_image?id={job_id}&name={item.image}" if item.image else None
    return _changed(item, image=address)


def with_picture(item: JobItem) -> JobItem:
    """The item with the address of its finished picture, if it has one."""
    return _changed(item, image=picture_address(item.picture) if item.is_final else None)


def _changed(item: JobItem, **changes: Any) -> JobItem:
    return msgspec.structs.replace(item, **changes)

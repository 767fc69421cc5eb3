"""What a job is: the task, its bounds, and what the HTTP API says about it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tb_modelcompare.jobs.runtime import progress

# Lanes: what needs numpy only, and what needs TensorFlow.
MATHEMATICS, RENDERS = "mathematics", "renders"

ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class Task:
    """What is to be computed.

    `key` is a digest of everything that the result depends on, `payload` what the worker
    gets, `items` the pictures to expect, `lane` the kind of worker.
    """

    kind: str
    lane: str
    key: str
    payload: dict[str, Any]
    items: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Limits:
    """Bounds on jobs.

    `abandoned_seconds`: a queued job, or a running render, that nobody asked about for so
    long is cancelled. Browsers let the timers of a hidden tab run once a minute.
    `grace_seconds`: from asking a job to stop until its process is ended.
    """

    queued: int = 32
    job_seconds: float = 3600.0
    abandoned_seconds: float = 90.0
    grace_seconds: float = 10.0
    idle_seconds: float = 900.0


@dataclass
class Job:
    """A task on its way, and what became of it; changed under the queue's lock only.

    `watchers`: when each tab that wants the result last asked about it. `left`: one has gone.
    """

    task: Task
    order: int
    status: str = "queued"
    cached: bool = False
    asked_at: float = field(default_factory=time.monotonic)
    watchers: dict[str, float] = field(default_factory=dict)
    began_at: float = 0.0
    left: bool = False
    stop_reason: str | None = None
    directory: Path | None = None
    report: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None

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

    def status_json(self, position: int | None) -> dict[str, Any]:
        """What the HTTP API says; `position` is that among the jobs that wait."""
        report = self.reported()
        matrix = report.get("matrix") or {"look": None, "revision": 0}
        items = report.get("items", self.task.items)
        running = report.get("message", "starting a worker process")
        message = {"done": "", "queued": "waiting"}.get(self.status, running)
        return {
            "id": self.task.key,
            "kind": self.task.kind,
            "status": self.status,
            "fraction": 1.0 if self.status == "done" else report.get("fraction", 0.0),
            "message": self.stop_reason or message,
            "position": position,
            "cached": self.cached,
            "items": [_with_address(item, self.task.key) for item in items],
            "look": matrix["look"],
            "revision": matrix["revision"],
            "known": None if self.status == "done" else report.get("known"),
            "error": self.error,
        }


def error_json(kind: str, message: str) -> dict[str, str]:
    """An error as the HTTP API gives it."""
    return {"type": kind, "message": message}


def without_lost_files(report: dict[str, Any]) -> dict[str, Any]:
    """What remains to be shown of a job that did not finish: its own files are gone."""
    items = [
        item if item["image"] == f"{item['key']}.png" else {**item, "image": None}
        for item in report.get("items", [])
    ]
    return {**report, "items": items, "matrix": None}


def _with_address(item: dict[str, Any], job_id: str) -> dict[str, Any]:
    name = item.get("image")
    return {**item, "image": f"job_image?id={job_id}&name={name}" if name else None}

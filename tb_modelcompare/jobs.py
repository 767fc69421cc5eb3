"""The queue of jobs: what is asked for last runs first, nobody's job runs, no job kills.

One thread per lane and slot hands jobs to a `concurrent.futures.Executor` and watches them.
Results go to the cache under the job's key, so that the same request is answered at once.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorboard.util import tb_logging

from tb_modelcompare import progress, tasks
from tb_modelcompare.cache import ResultCache
from tb_modelcompare.errors import LimitError, ModelCompareError, UnknownJobError
from tb_modelcompare.executors import WorkerProcess
from tb_modelcompare.lanes import Lane

_logger = tb_logging.get_logger()

# Lanes: what needs numpy only, and what needs TensorFlow.
MATHEMATICS, RENDERS = "mathematics", "renders"

ACTIVE = ("queued", "running")
_POLL_SECONDS = 0.1
_RECENT = 50
_JOB_ID = re.compile(r"[0-9a-f]{64}\Z")
# When Python exits, concurrent.futures waits for running jobs, however long they take. It says
# so to `threading` in this way, and `atexit` comes after; functions registered later run first.
_exiting = threading.Event()
threading._register_atexit(_exiting.set)  # type: ignore[attr-defined]

_PREVIEW = re.compile(r"(\d+)-\d+\.png\Z")


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
class _Job:
    task: Task
    order: int
    status: str = "queued"
    cached: bool = False
    asked_at: float = field(default_factory=time.monotonic)
    stop_reason: str | None = None
    directory: Path | None = None
    report: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None


class JobQueue:
    """Jobs of one server.

    Parameters
    ----------
    cache : ResultCache
    lanes : mapping of str to (function () -> Executor, slots)
        How to make a lane's executor, and how many of its jobs run at the same time.
    """

    def __init__(
        self,
        cache: ResultCache,
        lanes: Mapping[str, tuple[Callable[[], Executor], int]],
        limits: Limits | None = None,
    ) -> None:
        self._cache = cache
        self._limits = limits or Limits()
        self._jobs: dict[str, _Job] = {}
        self._changed = threading.Condition()
        self._orders = itertools.count()
        self._closed = False
        self._lanes = {name: Lane(make, slots) for name, (make, slots) in lanes.items()}
        atexit.register(self.close)  # so that threads clean up behind them

    def submit(self, task: Task) -> dict[str, Any]:
        """Ask for a task; the status of its job, finished at once if its result is cached.

        Asking again for a queued job moves it to the front.

        Raises
        ------
        LimitError
            If too many jobs wait.
        """
        cached = self._cache.find(task.key)
        with self._changed:
            job = self._jobs.get(task.key)
            if job is not None and job.status in ACTIVE:
                job.asked_at = time.monotonic()
                job.order = next(self._orders)
                return self._status(job)
            if cached is not None:
                job = _Job(task, next(self._orders), "done", cached=True, report=cached.report)
            else:
                waiting = sum(
                    j.status == "queued" and j.task.lane == task.lane for j in self._jobs.values()
                )
                if waiting >= self._limits.queued:
                    raise LimitError(f"{waiting} jobs are waiting already; cancel some, or wait")
                job = _Job(task, next(self._orders))
            self._jobs.pop(task.key, None)
            self._jobs[task.key] = job
            self._forget_old()
            if job.status == "queued":
                self._start_threads(task.lane)
                self._changed.notify_all()
            return self._status(job)

    def warm_up(self) -> None:
        """Start the renderer if it is not running: a picture will probably be asked for next."""
        with self._changed:
            if self._lanes[RENDERS].warm_up():
                self._start_threads(RENDERS)  # which also end it when nobody needs it

    def status(self, job_id: str) -> dict[str, Any]:
        """The status of a job, which thereby counts as waited for.

        Raises
        ------
        UnknownJobError
            If there is none of this id, in memory or in the cache.
        """
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None:
                job.asked_at = time.monotonic()
                return self._status(job)
        report = self._stored(job_id)
        task = Task(str(report.get("kind", "")), "", job_id, {})
        return self._status(_Job(task, 0, "done", cached=True, report=report))

    def report(self, job_id: str) -> dict[str, Any]:
        """What a finished job reported; what a running one has so far.

        Raises
        ------
        UnknownJobError
            If there is no such job.
        """
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None:
                return job.report
        return self._stored(job_id)

    def overview(self) -> list[dict[str, Any]]:
        """All active and recent jobs, the latest request first."""
        with self._changed:
            jobs = sorted(self._jobs.values(), key=lambda job: -job.order)
            return [self._status(job) for job in jobs]

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Stop a job: at once if it waits, else at its next step."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None and job.status in ACTIVE:
                self._stop(job, "cancelled by request")
        return self.status(job_id)

    def file(self, job_id: str, name: str) -> tuple[bytes, bool]:
        """A file of a job, and whether the same name will always hold the same.

        A preview that made way for the final picture gives the final picture.

        Raises
        ------
        UnknownJobError
            If there is no such job or file.
        """
        if _JOB_ID.match(job_id) and re.fullmatch(r"[a-z0-9-]{1,64}\.(png|npy)", name):
            with self._changed:
                job = self._jobs.get(job_id)
                directory = job.directory if job is not None else None
            if directory is not None:
                with contextlib.suppress(FileNotFoundError):
                    return (directory / name).read_bytes(), True
            content = self._cache.read(job_id, name)
            if content is not None:
                return content, True
            preview = _PREVIEW.match(name)
            final = self._cache.read(job_id, f"{preview[1]}.png") if preview else None
            if final is not None:
                return final, False
        raise UnknownJobError(f"job {job_id!r:.100} has no file {name!r:.100}; ask for it again")

    def close(self) -> None:
        """Stop everything and end the worker processes."""
        atexit.unregister(self.close)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for lane in self._lanes.values():
            for thread in lane.threads:
                thread.join()

    def _stored(self, job_id: str) -> dict[str, Any]:
        """The report of a job from before TensorBoard was restarted, or of another TensorBoard."""
        result = self._cache.find(job_id) if _JOB_ID.match(job_id) else None
        if result is None:
            raise UnknownJobError(f"there is no job {job_id!r:.100}; ask for it again")
        return result.report

    def _status(self, job: _Job) -> dict[str, Any]:
        """What the HTTP API says about a job; the lock is held."""
        if job.directory is not None:
            job.report = progress.read_progress(job.directory) or job.report
        state = job.report
        items = [_with_address(item, job.task.key) for item in state.get("items", job.task.items)]
        running = state.get("message", "starting a worker process")
        message = {"done": "", "queued": "waiting"}.get(job.status, running)
        return {
            "id": job.task.key,
            "kind": job.task.kind,
            "status": job.status,
            "fraction": 1.0 if job.status == "done" else state.get("fraction", 0.0),
            "message": job.stop_reason or message,
            "position": self._waiting(job.task.lane).index(job) if job.status == "queued" else None,
            "cached": job.cached,
            "items": items,
            "error": job.error,
        }

    def _waiting(self, lane: str) -> list[_Job]:
        """Queued jobs of a lane in the order in which they will run: latest request first."""
        waiting = [j for j in self._jobs.values() if j.status == "queued" and j.task.lane == lane]
        return sorted(waiting, key=lambda job: -job.order)

    def _forget_old(self) -> None:
        finished = [key for key, job in self._jobs.items() if job.status not in ACTIVE]
        for key in finished[:-_RECENT]:
            del self._jobs[key]

    def _start_threads(self, lane_name: str) -> None:
        lane = self._lanes[lane_name]
        while len(lane.threads) < lane.slots:
            thread = threading.Thread(
                target=self._serve, args=(lane_name,), name=f"modelcompare-{lane_name}", daemon=True
            )
            lane.threads.append(thread)
            thread.start()

    def _ending(self) -> bool:
        return self._closed or _exiting.is_set()

    def _serve(self, lane_name: str) -> None:
        """A slot of a lane: run one job after the other."""
        lane = self._lanes[lane_name]
        idle_since = time.monotonic()
        while not self._ending():
            with self._changed:
                self._cancel_abandoned(lane_name)
                job = next(iter(self._waiting(lane_name)), None)
                if job is None:
                    self._changed.wait(timeout=0.5)
                else:
                    job.status = "running"
            if job is not None:
                self._run(lane, job)
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > self._limits.idle_seconds:
                lane.release()  # TensorFlow holds half a gigabyte
        lane.release()

    def _cancel_abandoned(self, lane_name: str) -> None:
        for job in self._waiting(lane_name):
            if self._abandoned(job):
                self._stop(job, "nobody waited for it")

    def _abandoned(self, job: _Job) -> bool:
        return time.monotonic() - job.asked_at > self._limits.abandoned_seconds

    def _stop(self, job: _Job, reason: str) -> None:
        job.stop_reason = job.stop_reason or reason
        if job.status == "queued":
            job.status = "cancelled"

    def _run(self, lane: Lane, job: _Job) -> None:
        """Run one job to its end, whatever end that is."""
        directory = None
        try:
            directory = self._cache.workspace()
            with self._changed:
                job.directory = directory
            outcome = self._outcome(lane, job, directory)
            if outcome["status"] == "done":
                progress.clear(directory)
                report = {"kind": job.task.kind, **outcome["report"]}
                self._cache.store(job.task.key, directory, report)
                self._finish(job, "done", report=report)
            else:
                if "traceback" in outcome:
                    _logger.error("Model comparison: a job failed\n%s", outcome["traceback"])
                self._finish(job, outcome["status"], error=outcome.get("error"))
        except BrokenExecutor:
            self._finish(job, "failed", error=_error("WorkerError", lane.drop()))
        except ModelCompareError as error:
            self._finish(job, "failed", error=_error(type(error).__name__, str(error)))
        except Exception as error:  # of a cluster, of the disk: the next job may fare better
            if job.stop_reason is None:
                _logger.exception("Model comparison: a job could not be run")
            self._finish(job, "failed", error=_error("WorkerError", f"{error!r:.300}"))
        finally:
            if directory is not None:
                self._cache.discard(directory)

    def _outcome(self, lane: Lane, job: _Job, directory: Path) -> dict[str, Any]:
        """What became of a job; a worker that died while idle is noticed only by using it."""
        try:
            return self._watch(lane, job, directory)
        except BrokenExecutor:
            began = progress.read_progress(directory) is not None
            if began or job.stop_reason is not None:
                raise
            lane.drop()
            return self._watch(lane, job, directory)

    def _watch(self, lane: Lane, job: _Job, directory: Path) -> dict[str, Any]:
        """Hand a job over and wait; ask it to stop when it should, and end it if it does not."""
        task = job.task
        executor, future = lane.submit(tasks.attempt, task.kind, task.payload, str(directory))
        deadline = time.monotonic() + self._limits.job_seconds
        asked_to_stop: float | None = None
        while not wait([future], timeout=_POLL_SECONDS).done:
            now = time.monotonic()
            with self._changed:
                if self._ending():
                    self._stop(job, "TensorBoard ends")
                elif now > deadline:
                    self._stop(job, f"it took more than {self._limits.job_seconds:.0f} s")
                elif job.task.lane != MATHEMATICS and self._abandoned(job):
                    self._stop(job, "nobody waited for it")
            if job.stop_reason is None:
                continue
            if asked_to_stop is None:
                asked_to_stop = now
                progress.request_cancel(directory)
                future.cancel()  # where a cluster has not begun it
            if self._ending() or now - asked_to_stop > self._limits.grace_seconds:
                if not isinstance(executor, WorkerProcess):  # a cluster's workers are not ours
                    return {"status": "cancelled"}
                executor.kill()
        return future.result()

    def _finish(
        self,
        job: _Job,
        status: str,
        *,
        report: dict[str, Any] | None = None,
        error: dict[str, str] | None = None,
    ) -> None:
        with self._changed:
            if job.stop_reason is not None and status != "done":
                # It ended because we asked, however it ended.
                timed_out = job.stop_reason.startswith("it took")
                status = "failed" if timed_out else "cancelled"
                error = _error("LimitError", job.stop_reason) if timed_out else None
            if status != "done" and job.directory is not None:
                job.report = _without_pictures(progress.read_progress(job.directory) or {})
            job.status, job.error, job.directory = status, error, None
            if report is not None:
                job.report, job.stop_reason = report, None
            self._jobs.pop(job.task.key, None)  # to the end: the most recent
            self._jobs[job.task.key] = job


def _error(kind: str, message: str) -> dict[str, str]:
    return {"type": kind, "message": message}


def _with_address(item: dict[str, Any], job_id: str) -> dict[str, Any]:
    name = item.get("image")
    return {**item, "image": f"job_image?id={job_id}&name={name}" if name else None}


def _without_pictures(report: dict[str, Any]) -> dict[str, Any]:
    """What remains to be shown of a job that did not finish: its files are gone."""
    items = [{**item, "image": None} for item in report.get("items", [])]
    return {**report, "items": items}

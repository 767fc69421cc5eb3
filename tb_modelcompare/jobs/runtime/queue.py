"""The queue of jobs: what is asked for last runs first, nobody's job runs, no job kills.

One thread per lane and slot hands jobs to a `concurrent.futures.Executor` and watches them.
Results go to the cache under the job's key, so that the same request is answered at once.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor
from typing import Any

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.errors import LimitError, ModelCompareError, UnknownJobError
from tb_modelcompare.jobs.runtime import progress
from tb_modelcompare.jobs.runtime.lanes import Lane, Reasons, watched
from tb_modelcompare.jobs.runtime.records import (
    MATHEMATICS,
    PICTURE,
    RENDERS,
    Entry,
    Job,
    Limits,
    NamedError,
    State,
    Stop,
    Task,
    items_of,
    stored_job,
    without_lost_files,
)
from tb_modelcompare.jobs.runtime.turns import in_the_way, waiting
from tb_modelcompare.jobs.runtime.work import call_of
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE

_logger = logging.getLogger(__name__)

_RECENT = 50
_JOB_ID = re.compile(r"[0-9a-f]{64}\Z")
# When Python exits, concurrent.futures waits for running jobs, however long they take. It says
# so to `threading` in this way, and `atexit` comes after; functions registered later run first.
_exiting = threading.Event()
threading._register_atexit(_exiting.set)  # type: ignore[attr-defined]

_FILE = re.compile(r"[a-z0-9-]{1,64}\.(png|npy)\Z")
_PICTURE = re.compile(r"(\d{1,6})(-\d+)?\.png\Z")


class JobQueue:
    """Jobs of one server.

    Parameters
    ----------
    cache : ResultCache
    lanes : mapping of str to (function () -> Executor, slots)
        How to make a lane's executor, and how many of its jobs run at the same time.
    limits : Limits, optional
    device : str
        What the workers' TensorFlow computes on.
    """

    def __init__(
        self,
        cache: ResultCache,
        lanes: Mapping[str, tuple[Callable[[], Executor], int]],
        limits: Limits | None = None,
        device: str = DEFAULT_DEVICE,
    ) -> None:
        self._cache = cache
        self.device = device
        self._limits = limits or Limits()
        self._jobs: dict[str, Entry] = {}
        self._changed = threading.Condition()
        self._orders = itertools.count()
        self._closed = False
        self._to_warm_up: tuple[Any, ...] | None = None
        self._lanes = {name: Lane(make, slots) for name, (make, slots) in lanes.items()}
        atexit.register(self.close)  # so that threads clean up behind them

    def submit(self, task: Task, watcher: str = "", *, background: bool = False) -> Job:
        """Ask for a task; the status of its job, finished at once if its result is cached.

        Asking again for a queued job moves it to the front. `watcher` names who wants the result.
        A job in the background runs after all others, and makes way for one that is asked for
        while it runs; it then begins anew, with what it has left in the cache.

        Raises
        ------
        LimitError
            If too many jobs wait.
        """
        cached = self._cache.find(task.key)
        with self._changed:
            job = self._jobs.get(task.key)
            if job is not None and job.state.active and job.stop in (None, Stop.MAKES_WAY):
                job.asked(watcher)
                job.background = job.background and background
                job.order = next(self._orders)
                return self._status(job)
            if cached is not None:
                job = Entry(task, next(self._orders), state=State.DONE, cached=True)
                job.report = cached.report
            else:
                before = len(self._waiting(task.lane))
                if before >= self._limits.queued:
                    raise LimitError(f"{before} jobs are waiting already; cancel some, or wait")
                job = Entry(task, next(self._orders), background)
            self._jobs.pop(task.key, None)
            self._jobs[task.key] = job
            job.asked(watcher)
            self._forget_old()
            if job.state is State.QUEUED:
                self._start_threads(task.lane)
                self._changed.notify_all()
            return self._status(job)

    def warm_up(self, prepare: Callable[[Any, str], None], inputs: Any) -> None:
        """Let the renderers' worker call `prepare(inputs, device)` when it has nothing else to do.

        A later request replaces one that waits. A cluster's workers are left alone: which of
        them would get the next job is not known.
        """
        with self._changed:
            if self._lanes[RENDERS].local:
                self._to_warm_up = (prepare, inputs, self.device)
                self._start_threads(RENDERS)
                self._changed.notify_all()

    def status(self, job_id: str, watcher: str = "") -> Job:
        """The status of a job, which thereby counts as waited for.

        Raises
        ------
        UnknownJobError
            If there is none of this id, in memory or in the cache.
        """
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None:
                job.asked(watcher)
                return self._status(job)
        return stored_job(job_id, self._stored(job_id))

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
                return job.reported()
        return self._stored(job_id)

    def overview(self) -> list[Job]:
        """All active and recent jobs, the latest request first."""
        with self._changed:
            jobs = sorted(self._jobs.values(), key=lambda job: -job.order)
            return [self._status(job) for job in jobs]

    def cancel(self, job_id: str) -> Job:
        """Stop a job: at once if it waits, else at its next step."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None and job.state.active:
                self._stop(job, Stop.REQUEST)
        return self.status(job_id)

    def leave(self, job_id: str, watcher: str) -> Job:
        """Stop a job unless another watcher asked about it of late."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None and job.state.active:
                job.watchers.pop(watcher, None)
                job.left = True
                since = time.monotonic() - self._limits.abandoned_seconds
                if all(asked_at < since for asked_at in job.watchers.values()):
                    self._stop(job, Stop.LEFT)
                return self._status(job)
        return self.status(job_id)

    def file(self, job_id: str, name: str) -> tuple[bytes, bool]:
        """A file of a job, and whether the same name will always hold the same.

        A preview that made way for the final picture gives the final picture.

        Raises
        ------
        UnknownJobError
            If there is no such job or file.
        """
        if _JOB_ID.match(job_id) and _FILE.match(name):
            with self._changed:
                job = self._jobs.get(job_id)
                directory = job.directory if job is not None else None
            if directory is not None:
                with contextlib.suppress(FileNotFoundError):
                    return (directory / name).read_bytes(), True
            content = self._cache.read(job_id, name)
            if content is not None:
                return content, True
            numbered = _PICTURE.match(name)
            if numbered is not None:
                content = self._picture(job_id, int(numbered[1]))
                if content is not None:
                    return content, numbered[2] is None
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

    def _picture(self, job_id: str, index: int) -> bytes | None:
        """The finished picture of a job's item: in the cache under a key of its own."""
        with self._changed:
            job = self._jobs.get(job_id)
        if job is not None and job.task.items:
            items = job.task.items
        else:
            items = items_of(self._cache.report(job_id) or {})
        if index >= len(items):
            return None
        return self._cache.read(items[index].picture, PICTURE)

    def _stored(self, job_id: str) -> dict[str, Any]:
        """The report of a job from before TensorBoard was restarted, or of another TensorBoard."""
        result = self._cache.find(job_id) if _JOB_ID.match(job_id) else None
        if result is None:
            raise UnknownJobError(f"there is no job {job_id!r:.100}; ask for it again")
        return result.report

    def _status(self, job: Entry) -> Job:
        """What the HTTP API says about a job; the lock is held."""
        position = self._waiting(job.task.lane).index(job) if job.state is State.QUEUED else None
        return job.status(position)

    def _waiting(self, lane: str) -> list[Entry]:
        return waiting(self._jobs.values(), lane)

    def _forget_old(self) -> None:
        finished = [key for key, job in self._jobs.items() if not job.state.active]
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
            warm_up = None
            with self._changed:
                self._cancel_abandoned(lane_name)
                job = next(iter(self._waiting(lane_name)), None)
                if job is not None:
                    job.state, job.began_at = State.RUNNING, time.monotonic()
                elif lane_name == RENDERS and self._to_warm_up is not None:
                    warm_up, self._to_warm_up = self._to_warm_up, None
                else:
                    self._changed.wait(timeout=0.5)
            if job is not None:
                self._run(lane, job)
                idle_since = time.monotonic()
            elif warm_up is not None:
                lane.warm_up(warm_up, self._ending)
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > self._limits.idle_seconds:
                lane.release()  # TensorFlow holds half a gigabyte
        lane.release()

    def _cancel_abandoned(self, lane_name: str) -> None:
        for job in self._waiting(lane_name):
            if self._abandoned(job):
                self._stop(job, Stop.ABANDONED)

    def _only_for_watchers(self, job: Entry) -> bool:
        """Whether a running job ends with the interest in it, as one does that a tab asked for.

        Whoever asks for a similarity without a name may come back for it much later.
        """
        return bool(job.left or job.watchers) or job.task.lane != MATHEMATICS

    def _abandoned(self, job: Entry) -> bool:
        return time.monotonic() - job.asked_at > self._limits.abandoned_seconds

    def _stop(self, job: Entry, reason: Stop) -> None:
        if job.stop in (None, Stop.MAKES_WAY):
            job.stop = reason
            job.stop_message = reason.value.format(seconds=self._limits.job_seconds)
        if job.state is State.QUEUED:
            job.state = reason.state

    def _run(self, lane: Lane, job: Entry) -> None:
        """Run one job to its end, whatever end that is."""
        directory = None
        try:
            directory = self._cache.workspace()
            with self._changed:
                job.directory = directory
            call = call_of(job.task, directory, self._cache, self.device)
            reasons = Reasons(lambda: self._reason_to_stop(job), self._ending)
            outcome = watched(lane, call, directory, reasons, self._limits.grace_seconds)
            if outcome.report is not None:
                report = {"kind": job.task.kind, **outcome.report}
                with self._changed:
                    # Whoever asks before the result is kept must not hear of an estimate whose
                    # files are gone.
                    job.report = {**job.reported(), **report}
                    progress.clear(directory)
                pictures = [item.picture for item in items_of(report) if item.image]
                self._cache.store(job.task.key, directory, report, parts=pictures)
                self._finish(job, State.DONE, report=report)
            else:
                if outcome.traceback is not None:
                    _logger.error("Model comparison: a job failed\n%s", outcome.traceback)
                self._finish(job, outcome.state, error=outcome.error)
        except BrokenExecutor:
            self._finish(job, State.FAILED, error=NamedError("WorkerError", lane.drop()))
        except ModelCompareError as error:
            self._finish(job, State.FAILED, error=NamedError(type(error).__name__, str(error)))
        except Exception as error:  # of a cluster, of the disk: the next job may fare better
            if job.stop is None:
                _logger.exception("Model comparison: a job could not be run")
            named = NamedError("WorkerError", f"{type(error).__name__}: {error!s:.300}")
            self._finish(job, State.FAILED, error=named)
        finally:
            if directory is not None:
                self._cache.discard(directory)

    def _reason_to_stop(self, job: Entry) -> Stop | None:
        """Why a running job should end, if it should."""
        with self._changed:
            if self._ending():
                self._stop(job, Stop.SERVER_ENDS)
            elif time.monotonic() - job.began_at > self._limits.job_seconds:
                self._stop(job, Stop.TIME)
            elif self._only_for_watchers(job) and self._abandoned(job):
                self._stop(job, Stop.ABANDONED)
            elif in_the_way(job, self._jobs.values(), self._lanes[job.task.lane].slots):
                self._stop(job, Stop.MAKES_WAY)
            return job.stop

    def _finish(
        self,
        job: Entry,
        state: State,
        *,
        report: dict[str, Any] | None = None,
        error: NamedError | None = None,
    ) -> None:
        with self._changed:
            if job.stop is not None and state is not State.DONE:
                # It ended because we asked, however it ended.
                state = job.stop.state
                timed_out = state is State.TIMED_OUT
                error = NamedError("LimitError", job.stop_message) if timed_out else None
            if state is State.QUEUED:
                job.state, job.directory, job.report = state, None, {}
                job.stop, job.stop_message = None, ""
                self._changed.notify_all()
                return
            if state is not State.DONE and job.directory is not None:
                job.report = without_lost_files(progress.read_progress(job.directory) or {})
            job.state, job.error, job.directory = state, error, None
            if report is not None:
                job.report, job.stop, job.stop_message = report, None, ""
            if self._jobs.get(job.task.key) is job:  # and not asked for anew while it stopped
                del self._jobs[job.task.key]  # to the end: the most recent
                self._jobs[job.task.key] = job

"""Jobs in real worker processes: order, cancel, limits, deaths, restarts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import HANG
from queues import Queues, alive, computing, idle_task, quick_task, slow_task, wait_for, worker_pid
from serving import Server, error_of

from tb_modelcompare.cache.results import ResultCache, StoredResult
from tb_modelcompare.errors import LimitError, UnknownJobError
from tb_modelcompare.jobs.runtime.executors import WorkerProcess
from tb_modelcompare.jobs.runtime.records import NamedError, State
from tb_modelcompare.jobs.similarity import MATRIX


def test_a_running_job_is_cancelled_within_a_step(slow_logs: Path, queue: Queues) -> None:
    jobs = queue(grace_seconds=HANG)
    job_id = jobs.submit(slow_task(slow_logs)).id
    running = computing(jobs, job_id)
    assert running.position is None
    pid = worker_pid(jobs)
    jobs.cancel(job_id)
    cancelled = wait_for(jobs, job_id, State.CANCELLED)
    assert cancelled.error is None
    assert alive(pid)  # it stopped by itself: the worker stays warm
    with pytest.raises(UnknownJobError):
        jobs.file(job_id, MATRIX)


def test_a_job_goes_on_as_long_as_one_tab_waits_for_it(
    slow_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(slow_logs)
    body = {"kind": "similarity", "a": "wide/net@0", "b": "wide/net@1", "measure": "procrustes"}

    def ask(watcher: str) -> dict[str, Any]:
        response = server.post(f"jobs?watcher={watcher}", body)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()

    def leave(watcher: str) -> dict[str, Any]:
        return server.post(f"cancel?watcher={watcher}", {"id": job_id}).get_json()

    job_id = ask("one")["id"]
    assert ask("two")["id"] == job_id
    leave("one")
    leave("one")  # is not two
    server.wait(job_id, until=lambda status: "layers" in status["message"])
    assert server.json("job", id=job_id)["status"] == "running"
    server.json("job", id=job_id, watcher="one")  # is back
    leave("two")
    assert server.json("job", id=job_id)["message"] != "nobody waits for it"
    leave("one")
    assert server.wait(job_id)["message"] == "nobody waits for it"
    assert error_of(server.post("cancel?watcher=<b>", {"id": job_id}))[0] == 400


def test_who_comes_back_while_a_job_stops_gets_a_new_one(session_logs: Path, queue: Queues) -> None:
    jobs = queue()
    task = idle_task(session_logs)
    jobs.submit(task, "one")
    computing(jobs, task.key)
    jobs.leave(task.key, "one")
    assert jobs.submit(task, "one").status == "queued"
    computing(jobs, task.key)
    assert jobs.cancel(task.key).status == "running"
    wait_for(jobs, task.key, State.CANCELLED)


def test_waiting_jobs_run_latest_first_and_are_cancelled_at_once(
    session_logs: Path, queue: Queues
) -> None:
    jobs = queue(queued=3)
    running, *waiting = [idle_task(session_logs, number) for number in (1, 2, 3, 4)]
    jobs.submit(running)
    wait_for(jobs, running.key, State.RUNNING)
    for task in waiting:
        jobs.submit(task)

    def positions() -> list[int | None]:
        return [jobs.status(task.key).position for task in waiting]

    assert positions() == [2, 1, 0]
    jobs.submit(waiting[0])  # looked at again
    assert positions() == [0, 2, 1]
    with pytest.raises(LimitError, match="waiting"):
        jobs.submit(idle_task(session_logs, 5))
    assert jobs.cancel(waiting[0].key).status == "cancelled"
    assert positions() == [None, 1, 0]
    order = [status.id for status in jobs.overview()]
    assert order[:3] == [waiting[0].key, waiting[2].key, waiting[1].key]
    jobs.cancel(running.key)
    wait_for(jobs, waiting[2].key, State.RUNNING)
    assert jobs.status(waiting[1].key).status == "queued"


def test_a_job_in_the_background_makes_way_and_begins_anew(
    session_logs: Path, queue: Queues
) -> None:
    jobs = queue()
    background, asked_for, later = (idle_task(session_logs, number) for number in (1, 2, 3))
    jobs.submit(background, "a tab", background=True)
    computing(jobs, background.key)
    pid = worker_pid(jobs)
    jobs.submit(asked_for)
    computing(jobs, asked_for.key)
    assert alive(pid)  # the worker stays warm
    assert jobs.status(background.key, "a tab").status == "queued"
    jobs.submit(later)
    assert [jobs.status(task.key).position for task in (later, background)] == [0, 1]
    jobs.cancel(later.key)
    jobs.cancel(asked_for.key)
    again = computing(jobs, background.key)
    assert again.error is None
    jobs.submit(background)  # somebody asks for it in earnest
    jobs.submit(later)
    time.sleep(0.3)
    assert jobs.status(background.key).status == "running"
    jobs.cancel(background.key)
    wait_for(jobs, background.key, State.CANCELLED)


def test_a_job_that_makes_way_can_be_cancelled(session_logs: Path, queue: Queues) -> None:
    jobs = queue(grace_seconds=0.5)
    background, asked_for = (idle_task(session_logs, number) for number in (1, 2))
    jobs.submit(background, background=True)
    computing(jobs, background.key)
    os.kill(worker_pid(jobs), signal.SIGSTOP)  # so that it stops late
    jobs.submit(asked_for)
    jobs.cancel(background.key)
    wait_for(jobs, background.key, State.CANCELLED)
    computing(jobs, asked_for.key)


def test_a_worker_that_is_killed_fails_its_job_and_the_next_gets_another(
    session_logs: Path, queue: Queues
) -> None:
    jobs = queue()
    job_id = jobs.submit(idle_task(session_logs)).id
    computing(jobs, job_id)
    first = worker_pid(jobs)
    os.kill(first, signal.SIGKILL)
    failed = wait_for(jobs, job_id, State.FAILED)
    assert failed.error.type == "WorkerError"
    assert "SIGKILL" in failed.error.message
    assert "memory" in failed.error.message

    quick = quick_task(session_logs)
    jobs.submit(quick)
    wait_for(jobs, quick.key, State.DONE)
    second = worker_pid(jobs)
    assert second != first
    os.kill(second, signal.SIGKILL)  # while idle: no job's fault
    while alive(second):
        time.sleep(0.02)
    jobs.submit(quick_task(session_logs, "mean_cca"))
    wait_for(jobs, quick_task(session_logs, "mean_cca").key, State.DONE)


def test_a_job_that_needs_too_much_memory_fails_with_a_reason(
    session_logs: Path, slow_logs: Path, queue: Queues
) -> None:
    jobs = queue(lambda: WorkerProcess(memory_bytes=80_000_000))
    job_id = jobs.submit(slow_task(slow_logs)).id
    failed = wait_for(jobs, job_id, State.FAILED)
    assert "more than 0.1 GB of memory" in failed.error.message
    jobs.submit(quick_task(session_logs))
    wait_for(jobs, quick_task(session_logs).key, State.DONE)


def test_a_job_that_takes_too_long_is_ended_with_a_reason(
    session_logs: Path, queue: Queues
) -> None:
    jobs = queue(job_seconds=2.0)
    job_id = jobs.submit(idle_task(session_logs)).id
    ended = wait_for(jobs, job_id, State.TIMED_OUT)
    assert ended.status == "failed"  # the word that every client knows
    assert ended.error == NamedError("LimitError", "it took more than 2 s")


def test_a_job_that_does_not_stop_is_ended(session_logs: Path, queue: Queues) -> None:
    jobs = queue(grace_seconds=0.5)
    job_id = jobs.submit(idle_task(session_logs)).id
    computing(jobs, job_id)
    pid = worker_pid(jobs)
    os.kill(pid, signal.SIGSTOP)  # as one that hangs inside a library
    jobs.cancel(job_id)
    wait_for(jobs, job_id, State.CANCELLED)
    assert not alive(pid)


def test_a_result_can_be_read_while_the_cache_still_takes_it(
    session_logs: Path, queue: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking, go_on = threading.Event(), threading.Event()
    store = ResultCache.store

    def slowly(*arguments: Any, **options: Any) -> StoredResult:
        taking.set()
        assert go_on.wait(HANG)
        return store(*arguments, **options)

    monkeypatch.setattr(ResultCache, "store", slowly)
    jobs = queue()
    task = quick_task(session_logs)
    jobs.submit(task)
    assert taking.wait(HANG)
    try:
        matrix = jobs.report(task.key)["matrix"]
        jobs.file(task.key, MATRIX)
    finally:
        go_on.set()
    wait_for(jobs, task.key, State.DONE)
    assert jobs.report(task.key)["matrix"] == matrix


def test_a_job_that_nobody_asks_about_is_cancelled(session_logs: Path, queue: Queues) -> None:
    jobs = queue(abandoned_seconds=1.0)
    running, waiting = idle_task(session_logs, 1), idle_task(session_logs, 2)
    jobs.submit(running)
    wait_for(jobs, running.key, State.RUNNING)
    jobs.submit(waiting)
    time.sleep(1.0)
    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        by_id = {status.id: status for status in jobs.overview()}  # which is no question
        if by_id[waiting.key].status == "cancelled":
            break
        jobs.cancel(running.key)  # so that the lane looks at its queue
        time.sleep(0.1)
    assert by_id[waiting.key].message == "nobody waited for it"


def test_a_running_similarity_ends_when_its_tab_is_gone(session_logs: Path, queue: Queues) -> None:
    jobs = queue(abandoned_seconds=1.0)
    cases = ((1, "a tab", State.CANCELLED, HANG), (2, "", State.RUNNING, 3))
    for number, watcher, state, seconds in cases:
        task = idle_task(session_logs, number)
        jobs.submit(task, watcher)
        computing(jobs, task.key)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            (status,) = (one for one in jobs.overview() if one.id == task.key)  # no question
            if status.state is not State.RUNNING:
                break
            time.sleep(0.1)
        assert status.state is state
    jobs.cancel(task.key)


def test_a_new_request_for_a_cancelled_job_runs_it(session_logs: Path, queue: Queues) -> None:
    jobs = queue()
    task = quick_task(session_logs)
    jobs.submit(task)
    jobs.cancel(task.key)
    wait_for(jobs, task.key, State.CANCELLED, State.DONE)
    jobs.submit(task)
    wait_for(jobs, task.key, State.DONE)


# Run as a program, like a training script that starts TensorBoard in its process and has no
# `if __name__ == "__main__"`: a worker that imported it again would print twice.
PROGRAM = """
import importlib, json
print("main runs")
import tensorboard.main
from tb_modelcompare.jobs.runtime.executors import local_executor

def probe(): pass

executor = local_executor()
modules = executor.submit(eval, "sorted(__import__('sys').modules)").result()
keras = type(executor.submit(importlib.import_module, "keras").exception()).__name__
from tb_modelcompare.jobs import similarity
from tb_modelcompare.jobs.runtime.work import attempt
compare = executor.submit(attempt, similarity.run, None, ".", None, "cpu")
print(json.dumps([modules, keras, compare.result().error.type]))
"""


def test_a_worker_runs_no_main_module_loads_no_tensorflow_and_has_no_keras(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(PROGRAM)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script)]
    output = subprocess.check_output(command, text=True, env=environ, cwd=tmp_path)
    first, last = output.strip().splitlines()
    assert first == "main runs"
    modules, keras, error = json.loads(last)
    assert error == "AttributeError"
    assert not {"tensorboard", "tensorflow", "lucid", "keras.src"} & set(modules)
    assert keras == "ModuleNotFoundError"  # no model in a log can run code by way of it

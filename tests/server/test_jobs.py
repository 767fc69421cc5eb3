"""Jobs in real worker processes: results, order, cancel, limits, deaths, restarts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from serving import Server, activations, error_of, make_probe

from tb_modelcompare import SummaryWriter, similarity
from tb_modelcompare.errors import LimitError, UnknownJobError
from tb_modelcompare.server import tasks
from tb_modelcompare.server.cache import ResultCache
from tb_modelcompare.server.executors import WorkerProcess, local_executor
from tb_modelcompare.server.job_records import MATHEMATICS, Limits, Task
from tb_modelcompare.server.jobs import JobQueue
from tb_modelcompare.store import open_snapshot

A, B = "first/net@0", "second/net@0"
QUICK = {"kind": "similarity", "a": A, "b": B, "measure": "linear_cka"}


def slow_task(logs: Path, number: int = 1) -> Task:
    a, b = (open_snapshot(logs, f"wide/net@{step}") for step in (0, 1))
    payload = {"a": a.to_payload(), "b": b.to_payload(), "measure": "whitened_correlation"}
    return Task("similarity", MATHEMATICS, f"{number:064x}", payload)


Queues = Callable[..., JobQueue]


@pytest.fixture
def queue() -> Iterator[Queues]:
    queues: list[JobQueue] = []

    def make(executor: Callable[[], Executor] = local_executor, **limits: Any) -> JobQueue:
        queues.append(JobQueue(ResultCache(), {MATHEMATICS: (executor, 1)}, Limits(**limits)))
        return queues[-1]

    yield make
    for one in queues:
        one.close()


def wait_for(jobs: JobQueue, job_id: str, *statuses: str, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = jobs.status(job_id)
        if status["status"] in statuses:
            return status
        assert status["status"] in ("queued", "running"), status["error"]
        time.sleep(0.05)
    raise AssertionError(f"not {statuses} but {status} after {seconds} s")


def computing(jobs: JobQueue, job_id: str) -> dict[str, Any]:
    """Wait until the worker has reported from within the computation."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = wait_for(jobs, job_id, "running")
        if "layers" in status["message"]:
            return status
        time.sleep(0.05)
    raise AssertionError(status)


def worker_pid(jobs: JobQueue) -> int:
    executor = jobs._lanes[MATHEMATICS]._executor
    assert isinstance(executor, WorkerProcess)
    (pid,) = executor._processes
    return pid


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_similarity_over_http_equals_the_library(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    asked = server.ask(QUICK)
    assert asked["status"] in ("queued", "running")
    done = server.wait(asked["id"])
    assert (done["status"], done["fraction"], done["error"]) == ("done", 1.0, None)

    response = server.get("matrix", id=asked["id"])
    assert response.mimetype == "application/octet-stream"
    values = np.frombuffer(response.data, "<f8").reshape(3, 3)
    expected = similarity.compare(activations(1), activations(2), "linear_cka")
    np.testing.assert_array_equal(values, expected.values)
    info = server.json("matrix_info", id=asked["id"])
    assert info == {
        "a": A,
        "b": B,
        "measure": "linear_cka",
        "rows": list(expected.rows),
        "columns": list(expected.columns),
        "low": 0.0,
        "high": 1.0,
        "warnings": [],
        "look": "exact",
        "revision": 1,
        "interval": False,
    }
    assert (done["look"], done["revision"]) == ("exact", 1)


def test_a_first_look_is_there_before_the_exact_matrix(
    slow_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(slow_logs)
    job_id = server.ask({**QUICK, "a": "wide/net@0", "b": "wide/net@1", "measure": "mean_cca"})[
        "id"
    ]
    assert server.get("matrix_info", id=job_id).status_code == 404
    deadline = time.monotonic() + 60
    while (status := server.json("job", id=job_id))["look"] is None:
        assert status["revision"] == 0
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (status["status"], status["look"], status["revision"]) == ("running", "first", 1)
    info = server.json("matrix_info", id=job_id)
    assert (info["look"], info["revision"], info["interval"]) == ("first", 1, True)
    assert "first look" in info["warnings"][-1]

    def matrix(**parameters: str) -> npt.NDArray[np.float64]:
        response = server.get("matrix", id=job_id, **parameters)
        assert response.status_code == 200
        assert "no-cache" in response.headers["Cache-Control"]  # the same address comes to hold
        return np.frombuffer(response.data, "<f8").reshape(60, 60)  # the exact values

    values, low, high = (matrix(which=which) for which in ("values", "low", "high"))
    assert (matrix(revision="1") == values).all()
    assert (low <= values).all()
    assert (values <= high).all()
    assert server.get("matrix", id=job_id, revision="2").status_code == 404
    assert server.get("matrix", id=job_id, which="middle").status_code == 400
    server.post("cancel", {"id": job_id})
    assert server.wait(job_id)["look"] is None
    assert server.get("matrix", id=job_id).status_code == 404


def test_a_second_request_is_answered_at_once_also_after_a_restart(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    first = serve(session_logs)
    job_id = first.ask(QUICK)["id"]
    first.wait(job_id)
    assert first.ask(QUICK)["status"] == "done"
    first.plugin.close()

    second = serve(session_logs)
    status = second.json("job", id=job_id)
    assert (status["status"], status["kind"], status["cached"]) == ("done", "similarity", True)
    assert second.json("matrix_info", id=job_id)["a"] == A
    again = second.ask(QUICK)
    assert (again["id"], again["status"], again["cached"]) == (job_id, "done", True)
    assert not second.plugin._jobs._lanes[MATHEMATICS].threads  # nothing was started
    other = second.ask({**QUICK, "measure": "mean_cca"})
    assert other["id"] != job_id


def test_a_damaged_result_is_computed_again(
    session_logs: Path, serve: Callable[..., Server], cache_directory: Path
) -> None:
    server = serve(session_logs)
    job_id = server.ask(QUICK)["id"]
    server.wait(job_id)
    before = server.get("matrix", id=job_id).data
    (file,) = cache_directory.rglob("matrix.npy")
    file.write_bytes(file.read_bytes()[:-8])
    assert error_of(server.get("matrix", id=job_id))[0] == 404
    assert server.ask(QUICK)["status"] == "queued"
    server.wait(job_id)
    assert server.get("matrix", id=job_id).data == before


def test_warnings_about_few_rows_reach_the_tab(
    session_logs: Path, serve: Callable[..., Server], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    wide = {"dense": rng.standard_normal((60, 90)).astype(np.float32)}
    with SummaryWriter(tmp_path / "logs" / "wide", make_probe()) as writer:
        writer.add_activations("net", wide, step=0)
    server = serve(tmp_path / "logs")
    request = {**QUICK, "a": "wide/net@0", "b": "wide/net@0", "measure": "mean_cca"}
    job_id = server.ask(request)["id"]
    assert server.wait(job_id)["status"] == "done"
    (warning,) = server.json("matrix_info", id=job_id)["warnings"]
    assert "dense" in warning


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"kind": "magic"}, 400, "RequestError"),
        ({"kind": None}, 400, "RequestError"),
        ({"colour": "red"}, 400, "RequestError"),
        ({"a": 5}, 400, "RequestError"),
        ({"measure": None}, 400, "RequestError"),
        ({"measure": "svcca9000"}, 422, "ActivationError"),
        ({"b": "second/net@7"}, 404, "UnknownSnapshotError"),
        ({"b": "elsewhere/net@0"}, 409, "ProbeMismatchError"),
    ],
)
def test_similarity_requests_are_checked_before_anything_is_queued(
    session_logs: Path,
    serve: Callable[..., Server],
    change: dict[str, Any],
    status: int,
    kind: str,
) -> None:
    server = serve(session_logs)
    code, name, message = error_of(server.post("jobs", {**QUICK, **change}))
    assert (code, name) == (status, kind)
    if kind == "ProbeMismatchError":
        assert A in message
        assert "elsewhere/net@0" in message
    assert server.json("jobs") == {"jobs": []}


def test_a_file_that_is_gone_fails_the_job_by_name(
    logs: Path, serve: Callable[..., Server]
) -> None:
    snapshot = open_snapshot(logs, B)
    Path(snapshot.run_dir, snapshot.layers[1].asset.path).unlink()
    server = serve(logs)
    failed = server.wait(server.ask(QUICK)["id"])
    assert (failed["status"], failed["error"]["type"]) == ("failed", "MissingAssetError")
    again = server.ask({**QUICK, "b": A})
    assert server.wait(again["id"])["status"] == "done"


def test_a_running_job_is_cancelled_within_a_step(slow_logs: Path, queue: Queues) -> None:
    jobs = queue()
    job_id = jobs.submit(slow_task(slow_logs))["id"]
    running = computing(jobs, job_id)
    assert running["position"] is None
    pid = worker_pid(jobs)
    jobs.cancel(job_id)
    cancelled = wait_for(jobs, job_id, "cancelled", seconds=8)  # less than the grace period
    assert cancelled["error"] is None
    assert alive(pid)  # it stopped by itself: the worker stays warm
    with pytest.raises(UnknownJobError):
        jobs.file(job_id, tasks.MATRIX)


def test_waiting_jobs_run_latest_first_and_are_cancelled_at_once(
    slow_logs: Path, queue: Queues
) -> None:
    jobs = queue(queued=3)
    running, *waiting = [slow_task(slow_logs, number) for number in (1, 2, 3, 4)]
    jobs.submit(running)
    wait_for(jobs, running.key, "running")
    for task in waiting:
        jobs.submit(task)

    def positions() -> list[int | None]:
        return [jobs.status(task.key)["position"] for task in waiting]

    assert positions() == [2, 1, 0]
    jobs.submit(waiting[0])  # looked at again
    assert positions() == [0, 2, 1]
    with pytest.raises(LimitError, match="waiting"):
        jobs.submit(slow_task(slow_logs, 5))
    assert jobs.cancel(waiting[0].key)["status"] == "cancelled"
    assert positions() == [None, 1, 0]
    order = [status["id"] for status in jobs.overview()]
    assert order[:3] == [waiting[0].key, waiting[2].key, waiting[1].key]
    jobs.cancel(running.key)
    wait_for(jobs, waiting[2].key, "running")
    assert jobs.status(waiting[1].key)["status"] == "queued"


def test_a_worker_that_is_killed_fails_its_job_and_the_next_gets_another(
    session_logs: Path, slow_logs: Path, queue: Queues
) -> None:
    jobs = queue()
    job_id = jobs.submit(slow_task(slow_logs))["id"]
    computing(jobs, job_id)
    first = worker_pid(jobs)
    os.kill(first, signal.SIGKILL)
    failed = wait_for(jobs, job_id, "failed")
    assert failed["error"]["type"] == "WorkerError"
    assert "SIGKILL" in failed["error"]["message"]
    assert "memory" in failed["error"]["message"]

    quick = quick_task(session_logs)
    jobs.submit(quick)
    wait_for(jobs, quick.key, "done")
    second = worker_pid(jobs)
    assert second != first
    os.kill(second, signal.SIGKILL)  # while idle: no job's fault
    while alive(second):
        time.sleep(0.02)
    jobs.submit(quick_task(session_logs, "mean_cca"))
    wait_for(jobs, quick_task(session_logs, "mean_cca").key, "done")


def quick_task(logs: Path, measure: str = "linear_cka") -> Task:
    a, b = open_snapshot(logs, A), open_snapshot(logs, B)
    payload = {"a": a.to_payload(), "b": b.to_payload(), "measure": measure}
    return Task("similarity", MATHEMATICS, f"{len(measure):064x}", payload)


def test_a_job_that_needs_too_much_memory_fails_with_a_reason(
    session_logs: Path, slow_logs: Path, queue: Queues
) -> None:
    jobs = queue(lambda: WorkerProcess(memory_bytes=80_000_000))
    job_id = jobs.submit(slow_task(slow_logs))["id"]
    failed = wait_for(jobs, job_id, "failed")
    assert "more than 0.1 GB of memory" in failed["error"]["message"]
    jobs.submit(quick_task(session_logs))
    wait_for(jobs, quick_task(session_logs).key, "done")


def test_a_job_that_takes_too_long_is_ended_with_a_reason(slow_logs: Path, queue: Queues) -> None:
    jobs = queue(job_seconds=2.0)
    job_id = jobs.submit(slow_task(slow_logs))["id"]
    failed = wait_for(jobs, job_id, "failed")
    assert failed["error"] == {"type": "LimitError", "message": "it took more than 2 s"}


def test_a_job_that_does_not_stop_is_ended(slow_logs: Path, queue: Queues) -> None:
    jobs = queue(grace_seconds=0.5)
    job_id = jobs.submit(slow_task(slow_logs))["id"]
    computing(jobs, job_id)
    pid = worker_pid(jobs)
    os.kill(pid, signal.SIGSTOP)  # as one that hangs inside a library
    jobs.cancel(job_id)
    wait_for(jobs, job_id, "cancelled", seconds=10)
    assert not alive(pid)


def test_a_job_that_nobody_asks_about_is_cancelled(slow_logs: Path, queue: Queues) -> None:
    jobs = queue(abandoned_seconds=1.0)
    running, waiting = slow_task(slow_logs, 1), slow_task(slow_logs, 2)
    jobs.submit(running)
    wait_for(jobs, running.key, "running")
    jobs.submit(waiting)
    time.sleep(1.0)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        by_id = {status["id"]: status for status in jobs.overview()}  # which is no question
        if by_id[waiting.key]["status"] == "cancelled":
            break
        jobs.cancel(running.key)  # so that the lane looks at its queue
        time.sleep(0.1)
    assert by_id[waiting.key]["message"] == "nobody waited for it"


def test_a_new_request_for_a_cancelled_job_runs_it(session_logs: Path, queue: Queues) -> None:
    jobs = queue()
    task = quick_task(session_logs)
    jobs.submit(task)
    jobs.cancel(task.key)
    wait_for(jobs, task.key, "cancelled", "done")
    jobs.submit(task)
    wait_for(jobs, task.key, "done")


def test_two_servers_on_one_cache_share_results(session_logs: Path, queue: Queues) -> None:
    one, other = queue(), queue()
    task = quick_task(session_logs)
    one.submit(task)
    other.submit(task)  # both compute; the second to finish finds the result there
    wait_for(one, task.key, "done")
    wait_for(other, task.key, "done")
    assert one.file(task.key, tasks.MATRIX) == other.file(task.key, tasks.MATRIX)
    assert list(ResultCache()._directory.glob("work/*")) == []


def test_a_cache_that_cannot_be_written_fails_the_job_by_name(
    session_logs: Path, serve: Callable[..., Server], cache_directory: Path
) -> None:
    cache_directory.write_text("a file in the way")
    server = serve(session_logs)
    failed = server.wait(server.ask(QUICK)["id"])
    assert failed["error"]["type"] == "CacheDirectoryError"


# Run as a program, like a training script that starts TensorBoard in its process and has no
# `if __name__ == "__main__"`: a worker that imported it again would print twice.
PROGRAM = """
import concurrent.futures, json, sys
print("main runs")
import tensorboard.main
from tb_modelcompare.server.executors import local_executor

def probe(): pass

executor = local_executor()
modules = executor.submit(eval, "sorted(__import__('sys').modules)").result()
attempt = __import__("tb_modelcompare.server.tasks").server.tasks.attempt
compare = executor.submit(attempt, "similarity", {}, ".", None)
print(json.dumps([modules, compare.result()["error"]["type"]]))
"""


def test_a_worker_neither_runs_the_main_module_nor_loads_tensorflow(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(PROGRAM)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script)]
    output = subprocess.check_output(command, text=True, env=environ, cwd=tmp_path)
    first, last = output.strip().splitlines()
    assert first == "main runs"
    modules, error = json.loads(last)
    assert error == "KeyError"
    assert not {"tensorboard", "tensorflow", "keras", "lucid"} & set(modules)

"""Jobs in real worker processes: what is answered, from where, and what is refused."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from patience import HANG
from queues import A, B, Queues, children, quick_task, wait_for
from serving import Server, activations, error_of, make_probe

from tb_modelcompare import SummaryWriter, similarity
from tb_modelcompare.cli import main
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import State
from tb_modelcompare.jobs.similarity import MATRIX
from tb_modelcompare.log.reader import open_snapshot

QUICK = {"kind": "similarity", "a": A, "b": B, "measure": "linear_cka"}


def decoded(values: str) -> npt.NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(values), "<f8")


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
    deadline = time.monotonic() + HANG
    while (status := server.json("job", id=job_id))["look"] is None:
        assert status["revision"] == 0
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (status["status"], status["look"], status["revision"]) == ("running", "first", 1)
    info = server.json("matrix_info", id=job_id)
    assert (info["look"], info["revision"], info["interval"]) == ("first", 1, True)
    assert "progressive estimate" in info["warnings"][-1]

    def matrix(**parameters: str) -> npt.NDArray[np.float64]:
        response = server.get("matrix", id=job_id, **parameters)
        assert response.status_code == 200
        assert "no-cache" in response.headers["Cache-Control"]  # the same address comes to hold
        return np.frombuffer(response.data, "<f8").reshape(60, 60)  # the exact values

    values, low, high = (matrix(which=which) for which in ("values", "low", "high"))
    assert (matrix(revision="1") == values).all()
    whole = server.json("similarity", id=job_id)
    for name, expected in (("values", values), ("interval_low", low), ("interval_high", high)):
        assert (decoded(whole.pop(name)) == expected.ravel()).all()
    assert whole == info
    assert (low <= values).all()
    assert (values <= high).all()
    assert server.get("matrix", id=job_id, revision="2").status_code == 404
    assert server.get("matrix", id=job_id, which="middle").status_code == 400
    server.post("cancel", {"id": job_id})
    assert server.wait(job_id)["look"] is None
    assert server.get("matrix", id=job_id).status_code == 404


def test_values_that_replace_an_estimate_meanwhile_are_answered(
    slow_logs: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server knew of the estimate when it was asked, and finds its files removed."""
    server = serve(slow_logs)
    job_id = server.ask({**QUICK, "a": "wide/net@0", "b": "wide/net@1"})["id"]
    server.wait(job_id)
    exact = server.json("similarity", id=job_id)
    read, before = JobQueue.report, {**exact, "look": "first", "interval": True}
    reports = iter([{"matrix": before}])
    monkeypatch.setattr(JobQueue, "report", lambda *one: next(reports, None) or read(*one))
    assert server.json("similarity", id=job_id) == exact
    assert next(reports, None) is None
    assert exact["interval_low"] is None


def test_a_second_request_is_answered_at_once_also_after_a_restart(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    first = serve(session_logs)
    job_id = first.ask(QUICK)["id"]
    first.wait(job_id)
    assert first.ask(QUICK)["status"] == "done"
    first.plugin.close()

    before = children()
    second = serve(session_logs)
    status = second.json("job", id=job_id)
    assert (status["status"], status["kind"], status["cached"]) == ("done", "similarity", True)
    assert second.json("matrix_info", id=job_id)["a"] == A
    again = second.ask(QUICK)
    assert (again["id"], again["status"], again["cached"]) == (job_id, "done", True)
    assert children() <= before  # nothing was started
    other = second.ask({**QUICK, "measure": "mean_cca"})
    assert other["id"] != job_id


def test_the_command_line_and_the_tab_keep_one_result(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    assert main(["similarity", str(session_logs), A, B]) == 0
    server = serve(session_logs)
    found = server.ask(QUICK)
    assert (found["status"], found["cached"]) == ("done", True)
    info = server.json("matrix_info", id=found["id"])
    assert (info["look"], info["a"], info["measure"]) == ("exact", A, "linear_cka")
    values = np.frombuffer(server.get("matrix", id=found["id"]).data, "<f8")
    expected = similarity.compare(activations(1), activations(2), "linear_cka")
    np.testing.assert_array_equal(values.reshape(expected.values.shape), expected.values)


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


def test_two_servers_on_one_cache_share_results(
    session_logs: Path, queue: Queues, cache_directory: Path
) -> None:
    one, other = queue(), queue()
    task = quick_task(session_logs)
    one.submit(task)
    other.submit(task)  # both compute; the second to finish finds the result there
    wait_for(one, task.key, State.DONE)
    wait_for(other, task.key, State.DONE)
    assert one.file(task.key, MATRIX) == other.file(task.key, MATRIX)
    assert (cache_directory / "work").is_dir()
    assert list(cache_directory.glob("work/*")) == []


def test_a_cache_that_cannot_be_written_fails_the_job_by_name(
    session_logs: Path, serve: Callable[..., Server], cache_directory: Path
) -> None:
    cache_directory.write_text("a file in the way")
    server = serve(session_logs)
    failed = server.wait(server.ask(QUICK)["id"])
    assert failed["error"]["type"] == "CacheDirectoryError"

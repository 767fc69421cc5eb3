"""Jobs on a dask.distributed cluster, by its scheduler's address."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from patience import HANG
from serving import Server, activations

from tb_modelcompare import Probe, SummaryWriter, similarity

distributed = pytest.importorskip("distributed")

REQUEST = {
    "kind": "similarity",
    "a": "first/net@0",
    "b": "second/net@0",
    "measure": "linear_cka",
}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_similarity_on_a_cluster_equals_the_library(
    session_logs: Path, serve: Callable[..., Server], scheduler: str
) -> None:
    server = serve(session_logs, modelcompare_scheduler=scheduler)
    job_id = server.ask(REQUEST)["id"]
    done = server.wait(job_id)
    assert (done["status"], done["error"]) == ("done", None)
    values = np.frombuffer(server.get("matrix", id=job_id).data, "<f8").reshape(3, 3)
    expected = similarity.compare(activations(1), activations(2), "linear_cka").values
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    with distributed.Client(scheduler) as client:
        ran = client.run(lambda: "tb_modelcompare.jobs.runtime.work" in __import__("sys").modules)
    assert list(ran.values()) == [True]  # there, and not here


@pytest.mark.slow  # tests/jobs/test_queue.py cancels one without a cluster
def test_a_job_on_a_cluster_is_cancelled(
    slow_logs: Path, serve: Callable[..., Server], scheduler: str
) -> None:
    server = serve(slow_logs, modelcompare_scheduler=scheduler)
    request = {**REQUEST, "a": "wide/net@0", "b": "wide/net@1", "measure": "whitened_correlation"}
    job_id = server.ask(request)["id"]
    server.wait(job_id, until=lambda status: "layers" in status["message"])
    server.post("cancel", {"id": job_id})
    assert server.wait(job_id)["status"] == "cancelled"


def test_a_worker_that_is_killed_fails_its_job_by_name(
    slow_logs: Path, session_logs: Path, serve: Callable[..., Server]
) -> None:
    """A job that kills whoever runs it is not handed on for ever."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        server = serve(slow_logs, modelcompare_scheduler=cluster.scheduler_address)
        slow = {**REQUEST, "a": "wide/net@0", "b": "wide/net@1", "measure": "whitened_correlation"}
        job_id = server.ask(slow)["id"]
        killed: set[int] = set()
        deadline = time.monotonic() + HANG
        while (status := server.json("job", id=job_id))["status"] in ("queued", "running"):
            assert time.monotonic() < deadline, (status, killed)
            busy = [address for address, keys in client.processing().items() if keys]
            for pid in client.run(os.getpid, workers=busy, on_error="ignore").values():
                if isinstance(pid, int):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            time.sleep(0.3)
        assert (status["status"], status["error"]["type"]) == ("failed", "WorkerError")
        assert "workers died" in status["error"]["message"]
        assert server.wait(server.ask(REQUEST)["id"])["status"] == "done"


def test_an_address_where_nobody_answers_fails_the_job_by_name(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs, modelcompare_scheduler="tcp://127.0.0.1:9")
    failed = server.wait(server.ask(REQUEST)["id"])
    assert (failed["status"], failed["error"]["type"]) == ("failed", "SchedulerError")
    assert "tcp://127.0.0.1:9" in failed["error"]["message"]
    assert server.json("snapshots")["supported"]


@pytest.mark.slow  # test_picture_jobs.py draws without a cluster
def test_pictures_are_drawn_on_a_cluster_and_kept_for_both(
    tmp_path: Path, serve: Callable[..., Server], scheduler: str
) -> None:
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(6, 5, strides=2, activation="relu", name="conv"),
        ]
    )
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    with SummaryWriter(tmp_path / "logs" / "run", Probe(pixels)) as writer:
        writer.add_model("net", model, step=0, progress=False)
    request = {
        "kind": "analogies",
        "a": "run/net@0",
        "layer": "conv",
        "unit": 2,
        "targets": [{"snapshot": "run/net@0", "layers": ["conv"]}],
        "size": 32,
        "steps": 4,
    }
    server = serve(tmp_path / "logs", modelcompare_scheduler=scheduler)
    assert server.post("warm_up", {"snapshot": "run/net@0", "layer": "conv"}).status_code == 200
    done = server.wait(server.ask(request)["id"])
    assert (done["status"], done["error"]) == ("done", None)
    here = serve(tmp_path / "logs").ask(request)
    assert (here["status"], here["cached"], here["items"]) == ("done", True, done["items"])

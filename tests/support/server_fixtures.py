"""Log directories, caches, servers and queues of the tests of jobs, cache and server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from queues import Queues, started_queue
from serving import Server, make_probe, write_logs

from tb_modelcompare import SummaryWriter
from tb_modelcompare.jobs.runtime.executors import local_executor
from tb_modelcompare.jobs.runtime.queue import JobQueue
from tb_modelcompare.jobs.runtime.records import Limits


@pytest.fixture(scope="session")
def session_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that only read."""
    root = tmp_path_factory.mktemp("logs")
    write_logs(root)
    return root


@pytest.fixture(scope="session")
def slow_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and two snapshots whose whitened correlation takes longer than any test waits."""
    root = tmp_path_factory.mktemp("slow")
    write_logs(root)
    rng = np.random.default_rng(0)
    layers = {f"conv{i}": rng.standard_normal((450, 256)).astype(np.float32) for i in range(60)}
    with SummaryWriter(root / "wide", make_probe(count=150)) as writer:
        for step in (0, 1):
            writer.add_activations("net", {n: v + step for n, v in layers.items()}, step=step)
    return root


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """For tests that damage it."""
    write_logs(tmp_path / "logs")
    return tmp_path / "logs"


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the cache of the user or of another test."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("TB_MODELCOMPARE_CACHE", str(directory))
    return directory


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers that end with the test."""
    servers: list[Server] = []

    def start(logdir: Path | str, **options: Any) -> Server:
        servers.append(Server(logdir, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.plugin.close()


@pytest.fixture
def queue() -> Iterator[Queues]:
    """Make queues that end with the test."""
    queues: list[JobQueue] = []

    def make(executor: Callable[[], Executor] = local_executor, **limits: Any) -> JobQueue:
        queues.append(started_queue(executor, Limits(**limits)))
        return queues[-1]

    yield make
    for one in queues:
        one.close()

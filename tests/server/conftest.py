"""Log directories, caches and servers of the server's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Server, write_logs


@pytest.fixture(scope="session")
def session_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that only read."""
    root = tmp_path_factory.mktemp("logs")
    write_logs(root)
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

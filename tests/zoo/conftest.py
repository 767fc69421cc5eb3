"""Fixtures of the tests of models by name: a cache of one's own, and a server in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import FileServer, serving


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TB_MODELCOMPARE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "zoo"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as found:
        monkeypatch.setenv("TB_MODELCOMPARE_ZOO", found.address)
        yield found

"""What is made once for a whole run of the tests, however many processes share the tests."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A directory that the first process to ask fills with `make`, for tests that only read."""
    base = factory.getbasetemp()
    if base.name.startswith("popen-"):  # of one process of pytest-xdist: its parent is shared
        base = base.parent
    directory, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(directory)
            done.touch()
    return directory

"""What a running job and the server tell each other: files in the job's directory.

Files work over local processes, over a cluster with a shared disk, and outlive either side.
"""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

_PROGRESS = "progress.json"
_CANCEL = "cancel"
_MIN_SECONDS = 0.1  # between two reports of mere steps


class JobCancelledError(Exception):
    """The job was asked to stop, and did."""


class Progress:
    """The worker's side: reports how far the job is and hears whether to stop.

    Attributes
    ----------
    directory : Path
        Where the job leaves its files.
    items : list
        One record per picture, as the HTTP API gives them; change them, then `publish`.
    fraction, message
        As last published.
    report : dict
        What can be said already of the result, as records; change it, then `publish`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.items: list[Any] = []
        self.report: dict[str, Any] = {}
        self.fraction = 0.0
        self.message = ""
        self._published = 0.0

    def publish(self, fraction: float, message: str, *, force: bool = False) -> None:
        """Make the state known; without `force`, at most ten times a second."""
        self.fraction, self.message = min(max(fraction, 0.0), 1.0), message
        now = time.monotonic()
        if not force and now - self._published < _MIN_SECONDS:
            return
        self._published = now
        state = {"fraction": self.fraction, "message": message, "items": self.items, **self.report}
        partial = self.directory / f"{_PROGRESS}.partial"
        partial.write_text(json.dumps(msgspec.to_builtins(state), allow_nan=False))
        os.replace(partial, self.directory / _PROGRESS)

    def cancelled(self) -> bool:
        """Whether the server wants this job to end."""
        return (self.directory / _CANCEL).exists()

    def check(self) -> None:
        """Raise JobCancelledError if the job is to end."""
        if self.cancelled():
            raise JobCancelledError


def write_array(file: Path, values: npt.NDArray[Any]) -> None:
    """Leave an array in a .npy file. Unlike `numpy.save`, this says why it cannot."""
    file.write_bytes(npy_bytes(values))


def npy_bytes(values: npt.NDArray[Any]) -> bytes:
    """What a .npy file of an array holds."""
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()


def read_progress(directory: Path) -> dict[str, Any] | None:
    """The server's side: what the job last published, None before it has."""
    try:
        state = json.loads((directory / _PROGRESS).read_bytes())
    except FileNotFoundError:
        return None
    return state if isinstance(state, dict) else None


def request_cancel(directory: Path) -> None:
    """The server's side: ask the job to end at its next step."""
    (directory / _CANCEL).touch()


def clear(directory: Path) -> None:
    """Remove the files of the conversation, which are no part of the result."""
    for name in (_PROGRESS, f"{_PROGRESS}.partial", _CANCEL):
        (directory / name).unlink(missing_ok=True)

"""Seconds of wall and of CPU of several contenders in turn, at rest and beside one busy core."""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]

SPIN = """
import os, sys
parent = int(sys.argv[1])
print("spinning", flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


SETTLED = 0.2
"""Seconds after which threads of BLAS that wait for more work have stopped spinning."""


@contextlib.contextmanager
def one_core_busy() -> Iterator[None]:
    """Another process spins meanwhile; the machine's scheduler says on which core."""
    command = [sys.executable, "-c", SPIN, str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as spinning:
        try:
            assert spinning.stdout is not None
            spinning.stdout.readline()  # it has started
            yield
        finally:
            spinning.kill()


@dataclass(frozen=True)
class Seconds:
    """CPU seconds are those of all threads of this process."""

    wall: float
    cpu: float

    def times(self, factor: float) -> Seconds:
        return Seconds(self.wall * factor, self.cpu * factor)


@dataclass(frozen=True)
class Measured:
    """Medians, and the last result at rest."""

    rest: Seconds
    busy: Seconds
    result: Any = None

    def times(self, factor: float) -> Measured:
        return Measured(self.rest.times(factor), self.busy.times(factor))


def timed(function: Callable[[], Any]) -> tuple[Seconds, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu), result


def median(some: list[Seconds]) -> Seconds:
    return Seconds(
        statistics.median(one.wall for one in some), statistics.median(one.cpu for one in some)
    )


def measure(contenders: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Measured]:
    """Every contender in turn, repeated, as the machine's speed may vary during the run.

    One that is not installed is skipped, and said so.
    """
    seconds: dict[str, tuple[list[Seconds], list[Seconds]]] = {}
    results: dict[str, Any] = {}
    missing: set[str] = set()
    for _ in range(repeats):
        for busy in (False, True):
            with one_core_busy() if busy else contextlib.nullcontext():
                for name, function in contenders.items():
                    if name in missing:
                        continue
                    time.sleep(SETTLED)
                    try:
                        with contextlib.redirect_stdout(io.StringIO()):
                            elapsed, result = timed(function)
                    except ImportError as problem:
                        print(f"  {name}: not installed, skipped ({problem})")
                        missing.add(name)
                        continue
                    seconds.setdefault(name, ([], []))[busy].append(elapsed)
                    if not busy:
                        results[name] = result
    return {
        name: Measured(median(rest), median(busy), results[name])
        for name, (rest, busy) in seconds.items()
    }


GEMM_SIZE = 2048


def gemm(dtype: npt.DTypeLike = np.float32) -> Callable[[], None]:
    """A contender: one square product, with as many threads as BLAS takes."""
    a = np.random.default_rng(0).standard_normal((GEMM_SIZE, GEMM_SIZE)).astype(dtype)
    a @ a

    def multiply() -> None:
        a @ a

    return multiply


def floor(of_gemm: Measured, multiply_adds: float) -> Measured:
    """What so many multiply-adds take at the rate of `gemm` in the same run."""
    return of_gemm.times(multiply_adds / GEMM_SIZE**3)


def head() -> None:
    print(f"{'':40} {'at rest':>34} {'one core busy':>34}")
    columns = f"{'wall':>8} {'cpu':>8} {'wall':>8} {'cpu':>7} "
    print(f"{'':40} {columns} {columns} {'error':>8}")


def row(name: str, measured: Measured, ours: Measured, error: float | None = None) -> None:
    """Seconds, and how many times ours they are, in both situations."""
    cells = [
        f"{one.wall:7.3f}s {one.cpu:7.3f}s {one.wall / base.wall:7.2f}× {one.cpu / base.cpu:6.2f}×"
        for one, base in ((measured.rest, ours.rest), (measured.busy, ours.busy))
    ]
    deviation = "" if error is None else f"{error:8.1e}"
    print(f"{name:40} {'  '.join(cells)}  {deviation}", flush=True)


def own_memory() -> float:
    """GiB of resident memory that is no file's, of this process (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 2**20

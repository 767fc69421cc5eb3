"""TensorBoard in a process of its own, for as long as a command stays in the foreground."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tb_modelcompare.errors import ModelCompareError
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.log.format import PLUGIN_NAME

_PORT = 6006
_START_SECONDS = 90.0
_STOP_SECONDS = 10.0


class TensorBoardError(ModelCompareError):
    """TensorBoard does not start, or its port is taken."""


@contextlib.contextmanager
def tensorboard(
    logdir: str | Path, port: int | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A TensorBoard that answers, ended with all that it started when the context is left.

    Parameters
    ----------
    logdir : path
    port : int, optional
        0 for any free one. If left out, 6006, or any free one where that is taken.

    Yields
    ------
    address : str
        `http://localhost:PORT/`
    process : subprocess.Popen

    Raises
    ------
    TensorBoardError
        If the port is none or taken, or TensorBoard ends or is silent for 90 seconds.
    """
    if port is not None:
        whole("port", port, least=0, most=65535, error=TensorBoardError)
    chosen = _choose_port(port)
    address = f"http://localhost:{chosen}/"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
    command += ["--host", "localhost", "--port", str(chosen)]
    # A session of its own: Ctrl-C is ours to handle, and the group can be ended as a whole.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_until_it_answers(process, f"{address}data/plugin/{PLUGIN_NAME}/snapshots")
        yield address, process
    finally:
        _end(process)


def _choose_port(port: int | None) -> int:
    for candidate in (_PORT, 0) if port is None else (port,):
        # Both families: TensorBoard listens on whichever `localhost` means first.
        with contextlib.ExitStack() as stack:
            try:
                probe = stack.enter_context(socket.create_server(("127.0.0.1", candidate)))
                number: int = probe.getsockname()[1]
                if socket.has_ipv6 and _has_ipv6_loopback():
                    stack.enter_context(
                        socket.create_server(("::1", number), family=socket.AF_INET6)
                    )
            except OSError:
                continue
            return number
    raise TensorBoardError(f"port {port} is taken; give --port another number, or 0 for any")


def _has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True


def _wait_until_it_answers(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise TensorBoardError(
                f"TensorBoard ended with status {process.returncode}; its message is above"
            )
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise TensorBoardError(
                    "TensorBoard runs but has no tab for comparing models; its message above "
                    "says why, or tb-modelcompare is not installed in this environment"
                ) from error
        except (OSError, urllib.error.URLError):
            pass  # not listening yet
        time.sleep(0.2)
    raise TensorBoardError(f"TensorBoard did not answer within {_START_SECONDS:.0f} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if hasattr(os, "killpg"):
        # What it left behind, if anything.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

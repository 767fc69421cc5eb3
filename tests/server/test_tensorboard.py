"""The `tensorboard` program itself: it finds the plugin, starts fast, serves, and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from patience import HANG
from serving import PREFIX

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which TensorBoard discovers the plugin, be it installed or not."""
    found = metadata.entry_points(group="tensorboard_plugins")
    site = tmp_path / "site"
    if not any(point.name == "modelcompare" for point in found):
        info = site / "tb_modelcompare_checkout-0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Name: tb-modelcompare-checkout\nVersion: 0\n")
        (info / "entry_points.txt").write_text(
            "[tensorboard_plugins]\nmodelcompare = tb_modelcompare.loader:ModelCompareLoader\n"
        )
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


class TensorBoard:
    """A running `tensorboard` process."""

    def __init__(self, logdir: Path, environ: dict[str, str], log: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self.log = log
        self.url = f"http://localhost:{port}"
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [*command, "--port", str(port), *options],
                env=environ,
                stdout=stream,
                stderr=stream,
                # What runs in a shell's background, as tests may, has Ctrl+C ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=HANG) as response:
            content: bytes = response.read()
            return content

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json", "X-Modelcompare": "1"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=HANG) as response:
            return json.load(response)

    def until(self, path: str, accept: Callable[[Any], bool], seconds: float = HANG) -> Any:
        """The JSON at `path`, once `accept` holds of it."""
        deadline = time.monotonic() + seconds
        answer: Any = None
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                answer = json.loads(self.get(path))
                if accept(answer):
                    return answer
            except urllib.error.HTTPError as error:
                answer = error.read()
            except OSError as error:  # not listening yet
                answer = error
            time.sleep(0.1)
        raise AssertionError(f"{answer!r:.2000}\n{self.log.read_text()}")

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


Start = Callable[..., TensorBoard]


@pytest.fixture
def tensorboard(environ: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    running: list[TensorBoard] = []

    def start(logdir: Path, *options: str, **variables: str) -> TensorBoard:
        log = tmp_path / f"tensorboard{len(running)}.log"
        running.append(TensorBoard(logdir, {**environ, **variables}, log, *options))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.end()


def has(count: int) -> Callable[[Any], bool]:
    return lambda answer: len(answer["snapshots"]) == count


QUICK = {"kind": "similarity", "a": "first/net@5", "b": "second/net@0", "measure": "linear_cka"}
SLOW = {
    "kind": "similarity",
    "a": "wide/net@0",
    "b": "wide/net@1",
    "measure": "whitened_correlation",
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize(
    ("options", "prefix", "ended_by"),
    [
        ([], "", signal.SIGKILL),  # Rust data server
        pytest.param(["--load_fast=false"], "", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(
            ["--path_prefix=/behind/proxy"],
            "/behind/proxy",
            signal.SIGTERM,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_tab_is_there_and_computes_and_its_workers_end_with_tensorboard(
    slow_logs: Path,
    tensorboard: Start,
    cache_directory: Path,
    options: list[str],
    prefix: str,
    ended_by: signal.Signals,
) -> None:
    board = tensorboard(slow_logs, *options)
    snapshots = board.until(f"{prefix}{PREFIX}/snapshots", has(8))
    assert snapshots["problems"] == []
    listing = board.until(
        f"{prefix}/data/plugins_listing", lambda plugins: plugins["modelcompare"]["enabled"]
    )
    tab = listing["modelcompare"]
    assert tab["tab_name"] == "Compare models"
    assert b"render" in board.get(tab["loading_mechanism"]["module_path"])

    quick = board.post(f"{prefix}{PREFIX}/jobs", QUICK)["id"]
    board.until(f"{prefix}{PREFIX}/job?id={quick}", lambda status: status["status"] == "done")
    assert len(board.get(f"{prefix}{PREFIX}/matrix?id={quick}")) == 3 * 3 * 8
    slow = board.post(f"{prefix}{PREFIX}/jobs", SLOW)["id"]
    board.until(f"{prefix}{PREFIX}/job?id={slow}", lambda status: "layers" in status["message"])

    workers = children(board.process.pid)
    assert workers
    board.process.send_signal(ended_by)
    board.process.wait(timeout=HANG)
    deadline = time.monotonic() + HANG
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its TensorBoard"
        time.sleep(0.1)
    if ended_by != signal.SIGKILL:
        assert list((cache_directory / "work").iterdir()) == []


def children(pid: int) -> list[int]:
    out = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return [int(line) for line in out.stdout.split()]


def run(program: str, environ: dict[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    ).stdout


# With its Rust data server: the Python one imports TensorFlow by itself where there is one.
STARTED = """
import json, sys
from tensorboard import default, program
board = program.TensorBoard(plugins=default.get_plugins())
board.configure(argv=["tensorboard", "--logdir", {logdir!r}, "--port", "0", "--load_fast=true"])
server = board._make_server()
print(json.dumps([m for m in sys.modules if "." not in m or m.startswith("tb_modelcompare")]))
"""


def test_tensorboards_start_loads_nothing_heavy(
    session_logs: Path, environ: dict[str, str]
) -> None:
    modules = json.loads(run(STARTED.format(logdir=str(session_logs)), environ).splitlines()[-1])
    assert "tb_modelcompare.server.plugin" in modules
    heavy = {"tensorflow", "keras", "lucid", "scipy", "torch", "distributed", "skimage", "sklearn"}
    assert not heavy & set(modules)
    assert not [m for m in modules if m.startswith("tb_modelcompare.render")]


def test_a_broken_plugin_leaves_tensorboard_running(
    session_logs: Path, tensorboard: Start, tmp_path: Path
) -> None:
    """What the plugin needs at its start is broken; so are the large optional packages."""
    broken = tmp_path / "site"
    broken.mkdir(exist_ok=True)
    for name in ("platformdirs", "tensorflow", "scipy", "keras", "distributed"):
        (broken / f"{name}.py").write_text(f"raise ImportError('{name} is broken')")
    (broken / "platformdirs.py").write_text("raise AttributeError('a binary of another age')")
    board = tensorboard(session_logs, "--load_fast=false", TB_MODELCOMPARE_CACHE="")
    plugins = board.until("/data/plugins_listing", lambda answer: "scalars" in answer)
    assert "modelcompare" not in plugins
    text = board.log.read_text()
    assert "The model comparison tab is off" in text
    assert "a binary of another age" in text
    assert "Traceback" not in text


def test_broken_optional_packages_fail_jobs_and_nothing_else(
    session_logs: Path, tensorboard: Start, tmp_path: Path
) -> None:
    broken = tmp_path / "site"
    broken.mkdir(exist_ok=True)
    for name in ("tensorflow", "keras", "distributed"):
        (broken / f"{name}.py").write_text(f"raise ImportError('{name} is broken')")
    board = tensorboard(session_logs, "--modelcompare_scheduler=tcp://127.0.0.1:9")
    board.until(f"{PREFIX}/snapshots", has(6))
    job = board.post(f"{PREFIX}/jobs", QUICK)
    failed = board.until(
        f"{PREFIX}/job?id={job['id']}", lambda status: status["status"] == "failed"
    )
    assert "pip install" in failed["error"]["message"]
    board.until(f"{PREFIX}/snapshots", has(6))

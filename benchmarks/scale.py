"""Many snapshots: from a cold TensorBoard to a tab that can be used, and what that costs.

Two runs are logged (once; a directory that holds them is used again), then TensorBoard is started
anew with an empty cache, and Chromium opens the tab. Times are from the start of TensorBoard's
process, and from the start of loading the page. Layers move from one random state to another,
the deeper the later. The machine's cache of files is left as it is.

    python benchmarks/scale.py LOGDIR [--steps 200] [--layers 50] [--rows 500] [--units 64]

Needs the plugin installed, playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

PREFIX = "/data/plugin/modelcompare/"
PAIR = "a=run0%2Fnet%400&b=run1%2Fnet%400"
POSITIONS = 4


def main() -> None:
    arguments = parse()
    root = Path(arguments.logdir)
    if not root.exists():
        write(root, arguments)
    files = [file for file in root.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    print(f"on disk: {size / 1e6:.0f} MB in {len(files)} files")
    with served(root) as (process, url, start):
        reachable = until(lambda: get(url + "/data/environment"), start)
        listed = until(lambda: full(url, 2 * arguments.steps), start)
        print(f"TensorBoard answers after {reachable:.2f} s, all snapshots listed {listed:.2f} s")
        print(f"it used {cpu_seconds(process.pid):.2f} s of CPU until then")
        print(f"listed again in {clock(lambda: get(url + PREFIX + 'snapshots')):.3f} s")
        look(url, arguments.chromium, arguments)
        for name, megabytes in memory(process.pid):
            print(f"memory: {megabytes:6.0f} MB  {name}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("logdir")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--layers", type=int, default=50)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    return parser.parse_args()


def write(root: Path, arguments: argparse.Namespace) -> None:
    from tb_modelcompare import Probe, SummaryWriter

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (arguments.rows // POSITIONS, 16, 16, 3), dtype=np.uint8)
    probe = Probe(images, positions_per_image=POSITIONS)
    shape = (2, arguments.layers, len(images) * POSITIONS, arguments.units)
    start = time.perf_counter()
    for run in ("run0", "run1"):
        begin, end = rng.standard_normal(shape).astype(np.float32)
        with SummaryWriter(root / run, probe) as writer:
            for step in range(arguments.steps):
                layers = {}
                for i in range(arguments.layers):
                    share = np.exp(-step / (4 + 40 * i / arguments.layers))
                    layers[f"layer{i:02d}"] = np.maximum(share * begin[i] + (1 - share) * end[i], 0)
                writer.add_activations("net", layers, step=10 * step)
    seconds = time.perf_counter() - start
    print(f"written in {seconds:.0f} s, {1e3 * seconds / (2 * arguments.steps):.0f} ms a snapshot")


@contextlib.contextmanager
def served(root: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    """A TensorBoard that was started this moment, and nothing in its cache."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(root)]
    with tempfile.TemporaryDirectory() as cache:
        environ = {**os.environ, "TB_MODELCOMPARE_CACHE": cache}
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process, f"http://localhost:{port}", start
        finally:
            process.terminate()
            process.wait()


def look(url: str, chromium: str, arguments: argparse.Namespace) -> None:
    """Open the tab in its first view, then over training, and wait for what matters."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )

        def page_at(view: str) -> tuple[Any, float]:
            page = browser.new_page(viewport={"width": 1300, "height": 900})
            start = time.perf_counter()
            page.goto(f"{url}/#modelcompare&{PAIR}&view={view}", wait_until="commit")
            return page, start

        page, start = page_at("graph")
        frame = page.frame_locator("iframe").first
        frame.get_by_role("slider", name="Step of model A").wait_for()
        usable = time.perf_counter() - start
        frame.locator(".model.a [data-layer]").first.wait_for()
        drawn = time.perf_counter() - start
        print(f"page opened: pickers {usable:.2f} s, graphs {drawn:.2f} s")
        page.close()

        for attempt in ("first", "from the cache"):
            page, start = page_at("training")
            frame = page.frame_locator("iframe").first
            frame.get_by_test_id("trend-b").wait_for(timeout=300_000)
            shown = time.perf_counter() - start
            frame.get_by_test_id("steps").wait_for(timeout=300_000)
            frame.locator("progress").first.wait_for(state="detached", timeout=300_000)
            whole = time.perf_counter() - start
            pairs = 2 * arguments.steps * arguments.layers
            print(
                f"training, {attempt}: both maps seen {shown:.2f} s, all of {pairs} layer pairs "
                f"and the steps of one layer {whole:.2f} s"
            )
            page.close()
        browser.close()


def full(url: str, count: int) -> bool:
    return len(json.loads(get(url + PREFIX + "snapshots"))["snapshots"]) >= count


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:
        content: bytes = response.read()
        return content


def until(done: Callable[[], Any], start: float) -> float:
    while True:
        with contextlib.suppress(OSError):
            if done():
                return time.perf_counter() - start
        time.sleep(0.01)


def clock(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def cpu_seconds(parent: int) -> float:
    """User and system time of a process and its children: what a busy machine changes least."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(") ")[2].split()
            if parent in (int(stat.parent.name), int(fields[1])):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(parent: int) -> list[tuple[str, float]]:
    """Resident memory of a process and its children, in MB (Linux)."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            if parent in (int(fields["Pid"]), int(fields["PPid"])):
                found.append((fields["Name"].strip(), int(fields["VmRSS"].split()[0]) / 1e3))
    return found


if __name__ == "__main__":
    main()

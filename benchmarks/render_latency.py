"""From a click to the first picture, over HTTP, as the tab sees it.

TensorBoard is started on a log directory with an empty cache, three clicks follow: with no
worker running yet, with one warmed up (as it is when a layer has been looked at in the tab, which
has the layer and the first four of the other model compiled), and on another unit of the same
layer. A click asks for one unit and its analogies in a few layers of
other snapshots. Times are from the request to the moment at which a poll first reports
the picture. Previews are the first pictures of all analogies. CPU seconds, on Linux, are those of
TensorBoard and its workers for the whole click, which change less with what else the machine does.

    python benchmarks/render_latency.py LOGDIR --a googlenet --layer inception_4d \
        --targets alexnet:conv4,conv5 mobilenet:expanded_conv_10_expand

With layers of four models as targets, this tells how long many previews take:

    python benchmarks/render_latency.py LOGDIR --a googlenet --layer inception_4d --targets \
        googlenet:inception_3a,inception_4a alexnet:conv4 inception_v3:mixed_6_join \
        mobilenet_v2:expanded_conv_10_expand,Conv_1
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
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PREFIX = "/data/plugin/modelcompare/"
RECOGNISABLE = 64  # steps
WARM_UP_SECONDS = 20.0
WARM_LAYERS = 4  # as of the tab


def main() -> None:
    arguments = parse()
    count = sum(len(target.split(",")) for target in arguments.targets)
    names = ("first picture", "recognisable", "first analogy", f"{count} previews", "all", "CPU")
    print(" " * 28 + "".join(f"{name:>15s}" for name in names), flush=True)
    with server(arguments.logdir) as (url, pid):
        click(url, pid, arguments, "no worker yet", arguments.units[0])
    with server(arguments.logdir) as (url, pid):
        post(url, "warm_up", warm_up(url, arguments))
        time.sleep(WARM_UP_SECONDS)
        click(url, pid, arguments, "warm worker", arguments.units[1])
        click(url, pid, arguments, "warm, the same layer again", arguments.units[2])


def warm_up(url: str, arguments: argparse.Namespace) -> Any:
    """What the tab asks for as soon as a layer is looked at, beside one other model."""
    other, layers = arguments.targets[0].split(":")
    targets = [{"snapshot": identifier(url, other), "layers": layers.split(",")[:WARM_LAYERS]}]
    return {
        "snapshot": identifier(url, arguments.a),
        "layer": arguments.layer,
        "targets": targets,
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("logdir")
    parser.add_argument("--a", required=True, help="snapshot's name")
    parser.add_argument("--layer", required=True)
    parser.add_argument("--units", type=int, nargs=3, default=[484, 8, 67])
    parser.add_argument("--targets", nargs="+", required=True, metavar="NAME:LAYER,LAYER")
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--size", type=int, default=96)
    return parser.parse_args()


@contextlib.contextmanager
def server(logdir: str) -> Iterator[tuple[str, int]]:
    """The URL and process of a TensorBoard with the plugin installed and nothing in its cache."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logdir, "--port", str(port)]
    with tempfile.TemporaryDirectory() as cache:
        environ = {**os.environ, "TB_MODELCOMPARE_CACHE": cache}
        process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
        try:
            url = f"http://localhost:{port}"
            while not ready(url):
                if process.poll() is not None:
                    raise SystemExit("TensorBoard did not start")
                time.sleep(0.5)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait()


def ready(url: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(get(url, "snapshots")["snapshots"])
    return False


def get(url: str, route: str, **query: str) -> Any:
    address = f"{url}{PREFIX}{route}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(address, timeout=60) as response:
        return json.load(response)


def post(url: str, route: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json", "X-Modelcompare": "1"}
    request = urllib.request.Request(f"{url}{PREFIX}{route}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def identifier(url: str, name: str) -> str:
    """Of the snapshot with that name."""
    return next(s["id"] for s in get(url, "snapshots")["snapshots"] if s["name"] == name)


def cpu_seconds(pid: int) -> float:
    """Of a process and all processes below it, from /proc."""
    fields = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # After the name in brackets: state, parent, and from the twelfth field on the times.
            fields[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
    family = {pid}
    while more := {p for p, f in fields.items() if int(f[1]) in family} - family:
        family |= more
    ticks = sum(int(t) for p in family if p in fields for t in fields[p][11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def click(url: str, pid: int, arguments: argparse.Namespace, what: str, unit: int) -> None:
    targets = [target.split(":") for target in arguments.targets]
    body = {
        "kind": "analogies",
        "a": identifier(url, arguments.a),
        "layer": arguments.layer,
        "unit": unit,
        "sign": 1,
        "targets": [
            {"snapshot": identifier(url, name), "layers": layers.split(",")}
            for name, layers in targets
        ],
        "size": arguments.size,
        "steps": arguments.steps,
        "seed": 0,
    }
    before = cpu_seconds(pid)
    start = time.perf_counter()
    job = post(url, "jobs", body)
    first: dict[str, float] = {}
    while job["status"] in ("queued", "running"):
        time.sleep(0.1)
        job = get(url, "job", id=job["id"])
        now = time.perf_counter() - start
        source, *others = job["items"]
        if source["image"]:
            first.setdefault("picture", now)
        if (source["step"] or 0) >= min(RECOGNISABLE, arguments.steps):
            first.setdefault("recognisable", now)
        if any(item["image"] for item in others):
            first.setdefault("analogy", now)
        if all(item["image"] for item in others):
            first.setdefault("previews", now)
    if job["status"] != "done":
        raise SystemExit(f"the job is {job['status']}: {job['error']}")
    first["all"] = time.perf_counter() - start
    names = ("picture", "recognisable", "analogy", "previews", "all")
    print(f"{what:28s}" + "".join(f"{first[name]:13.1f} s" for name in names), end="")
    print(f"{cpu_seconds(pid) - before:13.1f} s", flush=True)


if __name__ == "__main__":
    main()

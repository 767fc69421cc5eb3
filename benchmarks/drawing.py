"""Frame rate of the alignment graph in Chromium: 500 layers a side, every pair a candidate line.

    python benchmarks/drawing.py [--layers 500] [--headed]

Builds the page that `tb-modelcompare report` writes, of two made-up models with names as real ones
have and some layers hatched, and measures the time between frames, and the processor time that the
page's main thread takes for one, while the threshold is dragged, while the pointer moves over
layers, while the drawing is moved, and while a wheel turns. Then starts TensorBoard on two logged
models of 100 layers and measures how long after opening the page the lines are there, the matrix
being cached. Needs playwright and Chromium, and a built tab (`npm run build` in frontend/).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.compare.wire import measure_info
from tb_modelcompare.report import page
from tb_modelcompare.similarity import MEASURES

INKED = """() => {
  let count = 0;
  for (const canvas of document.querySelectorAll('.lines.all canvas')) {
    if (!canvas.width || !canvas.height) continue;
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    for (let at = 3; at < pixels.length; at += 40) count += pixels[at] > 0;
  }
  return count;
}"""

# The page's own clock: time between frames while something is done in every one of them.
FRAMES = """async ([what, frames]) => {
  const slider = document.querySelector('input[type=range][aria-label^="Least"]');
  const scroll = document.querySelector('.scroll');
  const { left, right } = scroll.getBoundingClientRect();
  const inSight = (box) => {
    const place = box.getBoundingClientRect();
    return place.left >= left && place.right <= right;
  };
  const boxes = [...document.querySelectorAll('.model.a .box')].filter(inSight);
  const [low, high] = [Number(slider.min), Number(slider.max)];
  const acts = {
    threshold: (k) => {
      slider.value = low + (high - low) * (0.5 - 0.5 * Math.cos(k / 20)) * 0.9;
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    },
    hover: (k) => {
      boxes[(k - 1) % boxes.length]?.dispatchEvent(new PointerEvent('pointerleave'));
      boxes[k % boxes.length].dispatchEvent(new PointerEvent('pointerenter'));
    },
    pan: (k) => {
      const far = scroll.scrollWidth - scroll.clientWidth;
      scroll.scrollLeft = far * (0.5 - 0.5 * Math.cos(k / 60));
    },
    zoom: (k) => {
      const at = { clientX: left + 400, deltaY: k % 40 < 20 ? -60 : 60 };
      const turn = new WheelEvent('wheel', { bubbles: true, cancelable: true, ...at });
      document.querySelector('svg.front').dispatchEvent(turn);
    },
    nothing: () => {},
  };
  const intervals = [];
  await new Promise((resolve) => {
    let before = null;
    const step = (now) => {
      if (before !== null) intervals.push(now - before);
      before = now;
      if (intervals.length >= frames) return resolve();
      acts[what](intervals.length);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  return intervals;
}"""


def graph(layers: int, side: str) -> dict[str, Any]:
    """Stages of ten layers each, every one joined to the one before."""
    names = [
        f"{side}_stage{i // 50 + 1}_block{i // 10 % 5 + 1}_{i % 10}_relu" for i in range(layers)
    ]
    nodes = [
        {
            "name": name,
            "op": "Conv2D",
            "kind": "conv",
            "group": None,
            "inputs": names[i - 1 : i] if i else [],
            "shape": [14, 14, 64],
            "units": 64,
            "logged": True,
            "label": name,
        }
        for i, name in enumerate(names)
    ]
    return {"version": 1, "nodes": nodes, "blocks": []}


def report_page(layers: int) -> str:
    """Two made-up models whose layers of like depth are alike."""
    depth = np.linspace(0, 1, layers)
    noise = np.random.default_rng(0).random((layers, layers))
    values = np.exp(-8 * (depth[:, None] - depth[None, :]) ** 2) * (0.6 + 0.4 * noise)
    measure = MEASURES["linear_cka"]
    common = {"step": 0, "wall_time": 0.0, "probe_id": "p", "rows": 1000, "images": 1000}
    snapshots = [
        {
            "id": f"{side}/{side}@0",
            "run": side,
            "name": side,
            "layers": layers,
            "digest": side,
            "renderable": False,
            **common,
        }
        for side in "ab"
    ]
    data = {
        "listing": {"snapshots": snapshots, "problems": [], "supported": True, "message": None},
        "measures": {
            "measures": [msgspec.to_builtins(measure_info(measure))],
            "default": measure.name,
        },
        "graphs": {s["id"]: graph(layers, s["run"]) for s in snapshots},
        "matrix": {
            "a": "a/a@0",
            "b": "b/b@0",
            "measure": measure.name,
            "rows": [node["name"] for node in graph(layers, "a")["nodes"]],
            "columns": [node["name"] for node in graph(layers, "b")["nodes"]],
            "low": 0.0,
            "high": 1.0,
            "warnings": [],
            "values": _float64(values),
            # Of every tenth layer of either model no pair is above the null: these are hatched.
            "p_values": _float64(
                ((np.arange(layers) % 10 == 0)[:, None] | (np.arange(layers) % 10 == 0)) * 0.5
            ),
        },
    }
    return page(f"{layers} × {layers} layers", json.dumps(data))


def _float64(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f8").tobytes()).decode()


def frame_times(tab: Any, what: str, frames: int) -> None:
    devtools = tab.context.new_cdp_session(tab)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def processor() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    before = processor()
    intervals = np.array(tab.evaluate(FRAMES, [what, frames]))
    each = 1000 * (processor() - before) / frames
    median, worst = np.median(intervals), np.quantile(intervals, 0.95)
    late = (intervals > 1000 / 60 * 1.5).mean()
    print(
        f"{what:10s} median {median:5.1f} ms = {1000 / median:3.0f} frames/s, "
        f"95 % within {worst:5.1f} ms, late {100 * late:3.0f} %, "
        f"processor {each:4.1f} ms a frame"
    )


def measure_frames(browser: Any, layers: int, directory: Path) -> None:
    file = directory / "large.html"
    file.write_text(report_page(layers))
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    began = time.perf_counter()
    tab.goto(f"{file.as_uri()}#modelcompare&lines=all")
    tab.wait_for_function(f"() => ({INKED})() > 0", timeout=60_000)
    shown = tab.locator(".legend .count").inner_text()
    seconds = time.perf_counter() - began
    print(f"{layers} × {layers}: {shown}; first lines {seconds:.2f} s after opening")
    tab.wait_for_timeout(4000)
    for what in ("nothing", "threshold", "hover", "pan", "zoom"):
        frame_times(tab, what, 240)
        tab.wait_for_timeout(1500)
    tab.close()


def measure_first_paint(browser: Any, directory: Path) -> None:
    """100 × 100 layers in TensorBoard, the matrix computed before."""
    rng = np.random.default_rng(0)
    probe = Probe(rng.integers(0, 256, (100, 16, 16, 3), dtype=np.uint8), positions_per_image=4)
    base = rng.standard_normal((400, 16))
    for run in ("first", "second"):
        layers = {
            f"layer{i:03d}": (base @ rng.standard_normal((16, 24))).astype(np.float32)
            for i in range(100)
        }
        with SummaryWriter(directory / "logs" / run, probe) as writer:
            writer.add_activations(run, layers)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    start = (
        "import sys; from tensorboard import default, main, program;"
        "from tb_modelcompare.loader import ModelCompareLoader as ours;"
        "others = [p for p in default.get_plugins() if p is not ours];"
        "board = program.TensorBoard(plugins=[*others, ours]);"
        "board.configure(['tensorboard', *sys.argv[1:]]); sys.exit(board.main())"
    )  # whether or not the plugin is installed
    command = [sys.executable, "-c", start, "--logdir", str(directory / "logs")]
    environ = {**os.environ, "TB_MODELCOMPARE_CACHE": str(directory / "cache")}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    board = subprocess.Popen([*command, "--port", str(port)], env=environ, **quiet)
    api = f"http://localhost:{port}/data/plugin/modelcompare/"
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{api}snapshots") as answer:
                    if len(json.load(answer)["snapshots"]) == 2:
                        break
            except OSError:
                pass
            time.sleep(0.2)
        times = []
        for _ in range(6):  # the first one computes the matrix
            tab = browser.new_page(viewport={"width": 1440, "height": 900})
            tab.goto(f"http://localhost:{port}/#modelcompare")
            frame = next(f for f in iter_frames(tab))
            frame.wait_for_function(f"() => ({INKED})() > 0", timeout=120_000, polling=10)
            times.append(frame.evaluate("performance.now()") / 1000)
            tab.close()
    finally:
        board.terminate()
        board.wait()
    print(
        "100 × 100 in TensorBoard, matrix cached: lines "
        f"{np.median(times[1:]):.2f} s after the tab's frame began to load "
        f"({', '.join(f'{t:.2f}' for t in times[1:])})"
    )


def iter_frames(tab: Any) -> Any:
    while True:
        yield from (frame for frame in tab.frames if "plugin_entry" in frame.url)
        tab.wait_for_timeout(10)


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--layers", type=int, default=500)
    parser.add_argument("--headed", action="store_true", help="with a window, on the GPU")
    options = parser.parse_args()
    chromium = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    arguments = ["--no-sandbox", "--disable-background-networking"]
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=arguments, headless=not options.headed
        )
        print(f"Chromium {browser.version}, {os.cpu_count()} cores")
        measure_frames(browser, options.layers, Path(directory))
        measure_first_paint(browser, Path(directory))
        browser.close()


if __name__ == "__main__":
    main()

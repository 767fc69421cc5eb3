"""A running TensorBoard, the tab in its page, and the small models that are logged for both."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from patience import HANG, LATE

ROOT = Path(__file__).parents[2]
PREFIX = "data/plugin/modelcompare"
HOSTILE = "<img src=x onerror=window.top.hacked=1>"
SIZE = {"width": 1300, "height": 800}
MEDIA = {
    "color_scheme": "light",
    "contrast": "no-preference",
    "forced_colors": "none",
    "reduced_motion": "no-preference",
}

# TensorBoard's own page stays from test to test, as it takes most of the time of a short one.
REST = """() => {
  document.body.classList.remove('dark-mode');
  const frame = document.querySelector('iframe');
  window.rests = Boolean(frame);
  frame?.contentWindow.location.replace('about:blank');
  return window.rests;
}"""
WAKE = """() => {
  if (!window.rests) return;
  window.rests = false;
  const frame = document.querySelector('iframe');
  frame.contentWindow.location.replace(frame.src);
}"""

# Where a layer is chosen, TensorBoard prepares to draw its units, and where their pictures are
# there, it draws sharper ones. That takes longer than most tests, which wait for neither.
UNPREPARED = """
const ask = window.fetch;
const early = (url, { body } = {}) =>
  url === 'warm_up' || (/^jobs[?].*background=1/.test(url) && /"kind":"analogies"/.test(body));
window.fetch = (...asked) => (early(...asked) ? new Promise(() => {}) : ask(...asked));
"""


def network(seed: int, width: int) -> Any:
    """A small network with one module of three branches and one residual block."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    x = image = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu", name="stem")(x)
    one = layers.Conv2D(width, 1, activation="relu", name="module_1x1")(x)
    three = layers.Conv2D(width, 3, padding="same", activation="relu", name="module_3x3")(x)
    pool = layers.MaxPooling2D(3, strides=1, padding="same", name="module_pool")(x)
    pool = layers.Conv2D(width, 1, activation="relu", name="module_proj")(pool)
    x = layers.Concatenate(name="module_output")([one, three, pool])
    y = layers.Conv2D(3 * width, 3, padding="same", activation="relu", name="block_conv")(x)
    x = layers.Add(name="block_add")([x, y])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax", name="classes")(x))


def probe_images(seed: int, count: int = 40) -> np.ndarray:
    """Smooth random pictures: noise alone would make every layer look alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 4, 4, 3))
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)
    return (255 * (0.8 * smooth + 0.2 * rng.random((count, 32, 32, 3)))).astype(np.uint8)


def activations(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((160, 12)).astype(np.float32)
    return {name: np.maximum(base @ rng.standard_normal((12, 9)), 0) for name in ("one", "two")}


def wide_activations() -> dict[str, np.ndarray]:
    """Two layers with more units than the probe of `logs` has rows, and one that is constant."""
    rng = np.random.default_rng(8)
    wide = {
        name: rng.standard_normal((160, units)) for name, units in (("big", 200), ("high", 180))
    }
    return {**wide, "constant": np.ones((160, 3))}


def loaded_widths(images: Any) -> list[int]:
    """How many pixels wide the images of a locator are, once each has arrived."""
    return images.evaluate_all(
        "all => Promise.all(all.map(image => image.decode().then(() => image.naturalWidth)))"
    )


# TensorBoard as it is where TensorFlow is not installed, whose import takes most of its start.
BARE = """
import sys
sys.modules["tensorboard.compat.notf"] = sys
from tensorboard.main import run_main
run_main()
"""


class Board:
    """A running `tensorboard` process."""

    def __init__(
        self,
        logdir: Path,
        environ: dict[str, str],
        log: Path,
        *options: str,
        folder: Path = ROOT,
        bare: bool = False,
    ) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self.url = f"http://localhost:{port}/"
        self.log = log
        program = ("-c", BARE) if bare else ("-m", "tensorboard.main")
        command = [sys.executable, *program, "--logdir", str(logdir)]
        self._command = [*command, "--port", str(port), *options]
        self._folder, self._environ = folder, environ
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self.log.open("w") as stream:
            return subprocess.Popen(
                self._command,
                cwd=self._folder,  # from where Python imports first
                env=self._environ,
                stdout=stream,
                stderr=stream,
            )

    def start_again(self) -> None:
        """After its end, at the same address."""
        self.process = self._started()

    def wait(self, path: str, snapshots: int) -> None:
        """Until the plugin lists that many snapshots."""
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.url}{path}snapshots", timeout=HANG) as answer,
            ):
                if len(json.load(answer)["snapshots"]) >= snapshots:
                    return
            time.sleep(0.2)
        raise AssertionError(f"TensorBoard listed too little:\n{self.log.read_text()}")

    def end(self) -> None:
        """At once, if on a busy machine it does not end by itself in a while."""
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:  # in the midst of a long computation
            self.process.kill()
            self.process.wait()


class Tab:
    """The plugin's tab in a page, watched for whatever should never happen."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.file = ""
        self._allowed: set[tuple[int, str]] = set()
        self._fonts_of_the_host: set[str] = set()
        self._listeners = {
            "console": self._heard,
            "pageerror": lambda error: self.complaints.append(f"uncaught: {error}"),
            "request": self._requested,
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def rest(self) -> Any:
        """The page for the next test, without the tab and what this test changed."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)
        self.page.unroute_all(behavior="ignoreErrors")
        if not self.page.evaluate(REST):  # the tab on its own, which would go on asking
            self.page.goto("about:blank")
        self.page.mouse.move(0, 0)
        self.page.set_viewport_size(SIZE)
        self.page.emulate_media(**MEDIA)
        return self.page

    def _requested(self, request: Any) -> None:
        address = urllib.parse.urlsplit(request.url)
        if address.scheme not in ("blob", "data"):  # made by the page itself
            self.hosts.add(address.netloc)
        # TensorBoard's own page asks for Roboto where the machine has none, and asks at the root
        # of the host, which under --path_prefix is not where it is served.
        host_page = request.frame == self.page.main_frame
        if host_page and address.path.startswith("/font-roboto/"):
            self._fonts_of_the_host.add(request.url)

    def _heard(self, message: Any) -> None:
        url = message.location.get("url", "")
        if message.type != "error" or url in self._fonts_of_the_host:
            return
        failed = re.search(r"responded with a status of (\d+)", message.text)
        if failed is None or (int(failed[1]), self._route(url)) not in self._allowed:
            self.complaints.append(f"{message.text} {url}")

    @staticmethod
    def _route(url: str) -> str:
        return urllib.parse.urlsplit(url).path.rpartition("/")[2]

    def allow(self, status: int, route: str) -> None:
        """Let a request fail with a status, as the test means it to."""
        self._allowed.add((status, route))

    def open(self, url: str, **parameters: str | int) -> Tab:
        pairs = "".join(
            f"&{k}={urllib.parse.quote(str(v), safe='')}" for k, v in parameters.items()
        )
        self.page.goto(f"{url}#modelcompare{pairs}")
        self.page.evaluate(WAKE)
        self.frame.locator(".app").wait_for()
        return self

    @property
    def frame(self) -> Any:
        return self.page.frame_locator("iframe[src*='modelcompare'], iframe").first

    @property
    def parameters(self) -> dict[str, str]:
        hash_part = self.page.url.partition("#modelcompare&")[2]
        return dict(urllib.parse.parse_qsl(hash_part))

    def address(self, **wanted: str | None) -> None:
        """Wait until the address says this; None stands for what it leaves out."""
        self.until(lambda: {key: self.parameters.get(key) for key in wanted}, wanted.__eq__)

    def run(self, script: str) -> Any:
        """Evaluate in the plugin's frame."""
        return self._own_frame().evaluate(script)

    def _own_frame(self) -> Any:
        for frame in self.page.frames:
            if "plugin_entry" in frame.url:
                return frame
        raise AssertionError("the page has no plugin frame")

    def reload(self) -> Tab:
        """The tab alone, from the address: TensorBoard's page around it takes longer to load."""
        frame = self._own_frame()
        with frame.expect_navigation():
            frame.evaluate("setTimeout(() => location.reload())")
        return self

    def download(self, what: str, ending: str) -> bytes:
        """The file of a list, or of a figure with one size, that the dialog gives."""
        self.frame.get_by_role("button", name="Export…").click()
        dialog = self.frame.get_by_role("dialog", name="Export")
        dialog.get_by_label("figure").select_option(what)
        with self.page.expect_download() as started:
            dialog.get_by_role("button", name=re.compile(f"^{ending.upper()}")).click()
        dialog.get_by_role("button", name="Close").click()
        self.file = started.value.suggested_filename
        return Path(started.value.path()).read_bytes()

    def figure(self, figure: str, ending: str, mm: int = 180) -> bytes:
        """The file of a figure ("graph" or "matrix") that the dialog gives."""
        self.frame.get_by_role("button", name="Export…").click()
        dialog = self.frame.get_by_role("dialog", name="Export")
        dialog.get_by_label("figure").select_option(figure)
        dialog.get_by_label("Another width").fill(str(mm))
        dialog.get_by_role("img").wait_for()
        with self.page.expect_download() as started:
            dialog.get_by_role("button", name=ending.upper()).click()
        dialog.get_by_role("button", name="Close").click()
        self.file = started.value.suggested_filename
        return Path(started.value.path()).read_bytes()

    def settle(self) -> Tab:
        """Until the lines are drawn, and the figure has grown into the room that it has."""
        some = re.compile(r"^\s*[1-9]")
        count = self.frame.locator(".legend .count").filter(has_text=some)
        count.wait_for()
        self.still(count)
        return self

    def inspector(self) -> Any:
        """The panel beside the figure, once all is there that comes into it by itself.

        Whatever comes moves what is below, perhaps from beneath a click.
        """
        panel = self.frame.get_by_role("complementary", name="Inspector")
        panel.wait_for()
        awaited = panel.locator("[aria-busy=true]")
        self.until(awaited.count, lambda count: count == 0)
        loaded = "all => Promise.allSettled(all.map(image => image.decode()))"
        panel.locator("img:visible").evaluate_all(loaded)
        self.still(panel.locator(".layer > *").last)
        return panel

    def jobs_wait(self) -> Callable[[], None]:
        """No job is submitted from now on until what is returned is called."""
        waiting: list[Any] | None = []

        def hold(route: Any) -> None:
            route.continue_() if waiting is None else waiting.append(route)

        def go_on() -> None:
            nonlocal waiting
            routes, waiting = waiting or [], None
            for route in routes:
                route.continue_()

        self.page.route("**/jobs?*", hold)
        return go_on

    def still(self, locator: Any) -> dict[str, float]:
        """Where something is, once it has stayed there for a moment."""
        last, place = None, locator.bounding_box()
        while place != last:
            self.page.wait_for_timeout(150)
            last, place = place, locator.bounding_box()
        return place

    def becomes(self, expression: str, right: Callable[[Any], bool]) -> None:
        """Wait until the value of an expression in the tab is right."""
        self.until(lambda: self.run(expression), right)

    def until(self, read: Callable[[], Any], right: Callable[[Any], bool] = bool) -> None:
        """Wait until what is read is right."""
        deadline = time.monotonic() + LATE / 1000
        while not right(value := read()):
            assert time.monotonic() < deadline, f"stays {value!r}"
            self.page.wait_for_timeout(50)

    def theme(self, name: str) -> None:
        """Let TensorBoard be "light" or "dark", and wait until the tab is so too."""
        self.page.evaluate(f"document.body.classList.toggle('dark-mode', {int(name == 'dark')})")
        background = {"light": "rgb(255, 255, 255)", "dark": "rgb(48, 48, 48)"}[name]
        self.becomes("getComputedStyle(document.body).backgroundColor", background.__eq__)
        changing = "document.getAnimations().filter(one => one instanceof CSSTransition).length"
        self.becomes(changing, (0).__eq__)

    def box(self, side: str, layer: str) -> Any:
        return self.frame.locator(f".model.{side} [data-layer='{layer}']")

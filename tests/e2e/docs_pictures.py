"""The pictures of the README and of the docs: `./run screenshots --docs OUT` runs this.

They go into docs/images, and logs into OUT, where a later run finds them again (see `pairs.py`).
GoogLeNet and MobileNetV2 are shown parts of scikit-image's photographs, which may be published.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from live_tab import ROOT, Board, Tab
from pairs import TRAINED, TRAINED_STEPS, log_demo, log_trained, log_training
from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

LATE = 600_000  # large networks, perhaps on a busy machine
# After a pause, another job has begun if there is one.
PAUSE, STEP = 4_000, 500  # milliseconds
LONGEST = 600  # seconds
RENDERING = 1_800_000  # on a busy machine

IMAGES = ROOT / "docs" / "images"
SIZE = (1280, 800)
FILM_SIZE = (1280, 960)  # with room for the first pictures below the graph
GLIDE = (0.2, 0.5, 0.8)  # parts of the way of the pointer between two frames
GLIDE_MILLISECONDS = 60
ANIMATION_WIDTH = 960
MOST_BYTES = 2_000_000
PAIR = {"a": "googlenet/googlenet@0", "b": "mobilenet_v2/mobilenet_v2@0"}
LAYER = "inception_4d"  # of the stills
FILM_LAYERS, UNIT = ("inception_3b", "inception_4b"), 123  # eyes in black fur, in both models
THUMBNAILS = (4, 9)  # in order of depth, after the unit's own
CUTS = 24  # from each photograph

TUTORIAL = ROOT / "docs" / "tutorial.md"

# Where a pointer is drawn, as a browser does not draw it into a screenshot.
ARROW = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))


def photographs() -> np.ndarray:
    """Square parts of photographs, of several scales (n, 224, 224, 3)."""
    from tb_modelcompare.demo.photographs import load_photographs

    parts = []
    for number, photograph in enumerate(load_photographs()):
        random = np.random.default_rng(number)
        for _ in range(CUTS):
            side = int(random.uniform(0.3, 0.9) * min(photograph.size))
            left, top = (int(random.integers(0, length - side + 1)) for length in photograph.size)
            part = photograph.crop((left, top, left + side, top + side))
            parts.append(np.asarray(part.resize((224, 224), Image.Resampling.LANCZOS)))
    return np.stack(parts)


def log_for_readme(logdir: Path) -> None:
    """GoogLeNet and MobileNetV2 on parts of photographs."""
    from tb_modelcompare import Probe

    log_trained(logdir, Probe(photographs(), positions_per_image=8))


class Film:
    """Frames of a page, each with a pointer and the time that it is shown, in milliseconds."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.at = (SIZE[0] // 2, SIZE[1] - 40)
        self.frames: list[Image.Image] = []
        self.times: list[int] = []

    def point(self, target: Any) -> None:
        """Move to an element, and be drawn there."""
        box = target.bounding_box()
        self.at = (int(box["x"] + box["width"] / 2), int(box["y"] + box["height"] / 2))
        self.page.mouse.move(*self.at)
        self.page.wait_for_timeout(700)

    def glide(self, target: Any) -> None:
        """Move to an element in sight of the audience."""
        before, start = picture_of(self.page), self.at
        self.point(target)
        for done in GLIDE:
            x, y = (round(p + done * (q - p)) for p, q in zip(start, self.at, strict=True))
            self.add(with_arrow(before.copy(), (x, y)), GLIDE_MILLISECONDS)

    def picture(self) -> Image.Image:
        """A screenshot with the pointer."""
        return with_arrow(picture_of(self.page), self.at)

    def shoot(self, milliseconds: int) -> None:
        """Take a frame."""
        self.add(self.picture(), milliseconds)

    def add(self, frame: Image.Image, milliseconds: int) -> None:
        """Append a frame."""
        height = frame.height * ANIMATION_WIDTH // frame.width
        self.frames.append(frame.resize((ANIMATION_WIDTH, height), Image.Resampling.LANCZOS))
        self.times.append(milliseconds)

    def save(self, file: Path) -> None:
        """Write an animation that begins again, as good as the room allows."""
        first, *others = self.frames
        for quality in (80, 70, 60, 50, 40):
            first.save(
                file, append_images=others, duration=self.times, loop=0, quality=quality, method=6,
                save_all=True,
            )  # fmt: skip
            if file.stat().st_size <= MOST_BYTES:
                return
        raise SystemExit(f"{file} has {file.stat().st_size} bytes; take fewer frames")


def picture_of(page: Any) -> Image.Image:
    """A screenshot."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def with_arrow(picture: Image.Image, at: tuple[int, int]) -> Image.Image:
    """Draw a pointer into a picture."""
    arrow = [(at[0] + dx, at[1] + dy) for dx, dy in ARROW]
    ImageDraw.Draw(picture).polygon(arrow, fill="black", outline="white")
    return picture


def opened(
    browser: Any, url: str, theme: str, size: tuple[int, int] = SIZE, **address: str | int
) -> Tab:
    """The tab on both models, its lines drawn."""
    context = browser.new_context(viewport=dict(zip(("width", "height"), size, strict=True)))
    context.set_default_timeout(LATE)
    tab = Tab(context.new_page())
    tab.page.emulate_media(color_scheme=theme)
    tab.open(f"{url}?darkMode={str(theme == 'dark').lower()}", **{**PAIR, **address})
    if address.get("view") == "matrix":
        tab.frame.get_by_test_id("matrix").locator("canvas").first.wait_for(timeout=LATE)
        settle(tab)
        return tab
    tab.frame.locator(".legend .count").filter(has_text=re.compile(r"^\s*[1-9]")).wait_for(
        timeout=LATE
    )
    settle(tab)
    return tab


def settle(tab: Tab) -> None:
    """Wait until nothing is computed, nor has begun after a while: one job follows another.

    A busy machine may take too long; its pictures then show that something is computed.
    """
    end = time.monotonic() + LONGEST
    still_for = 0
    while still_for < PAUSE and time.monotonic() < end:
        tab.page.wait_for_timeout(STEP)
        still_for = 0 if tab.frame.locator("progress").count() else still_for + STEP


def still(browser: Any, url: str, theme: str) -> None:
    """One picture of both models, with the pointer on a layer."""
    tab = opened(browser, url, theme)
    pointed = Film(tab.page)
    pointed.point(tab.box("a", LAYER))
    picture = pointed.picture().quantize(255, dither=Image.Dither.NONE)
    picture.save(IMAGES / f"tab-{theme}.png", optimize=True)
    tab.page.context.close()


def training(browser: Any, url: str) -> None:
    """Two networks over their training, and a layer of each at all steps of both."""
    a, b = (f"{run}/{run}@{TRAINED_STEPS // 2}" for run in TRAINED)
    tab = Tab(browser.new_page(viewport={"width": 1300, "height": 1580}))
    layers = {"side": "a", "layer": "block2_project", "with": "mixed3a_3x3"}
    tab.open(url, a=a, b=b, view="training", measure="linear_cka", **layers)
    for one in ("trend-a", "trend-b"):
        tab.frame.get_by_test_id(one).get_by_role("application").wait_for(timeout=LATE)
    settle(tab)
    picture = picture_of(tab.page).quantize(255, dither=Image.Dither.NONE)
    picture.save(IMAGES / "training.png", optimize=True)
    tab.page.close()


def unit_sheet(logdir: Path, out: Path, environ: Mapping[str, str]) -> None:
    """What the tutorial's command on one unit draws."""
    (command,) = re.findall(
        r"^tb-modelcompare (analogies .*\n.*)", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE
    )
    arguments = shlex.split(command.replace("\\\n", " "))
    arguments[1] = str(logdir)
    arguments[arguments.index("--out") + 1] = str(out)
    subprocess.run([sys.executable, "-m", "tb_modelcompare", *arguments], env=environ, check=True)
    sheet = Image.open(out / "contact_sheet.png").convert("RGB")
    sheet.quantize(255, dither=Image.Dither.NONE).save(IMAGES / "tutorial-unit.png", optimize=True)


def tutorial(browser: Any, url: str) -> None:
    """The demo's two seeds: the graph, then the matrix."""
    pair = {"a": "seed0/seed0@400", "b": "seed1/seed1@400", "measure": "unbiased_linear_cka"}
    for view in ("graph", "matrix"):
        tab = opened(browser, url, "light", **pair, view=view)
        picture_of(tab.page).save(IMAGES / f"tutorial-{view}.png", optimize=True)
        tab.page.context.close()


def render(browser: Any, url: str, unit: int) -> None:
    """Draw a unit and its analogies into the cache, from where the film has them at once."""
    tab = opened(browser, url, "light", layer=FILM_LAYERS[-1], side="a", unit=unit)
    analogies = tab.frame.get_by_test_id("analogies")
    analogies.locator("img").first.wait_for(timeout=LATE)
    analogies.locator("progress").first.wait_for(state="detached", timeout=RENDERING)
    tab.page.context.close()


def film(browser: Any, url: str, unit: int) -> None:
    """Hover, a layer, a unit, and its analogies on the graph."""
    tab = opened(browser, url, "light", size=FILM_SIZE)
    moving = Film(tab.page)
    moving.shoot(600)
    for layer in FILM_LAYERS:
        moving.glide(tab.box("a", layer))
        moving.shoot(800)
    tab.box("a", FILM_LAYERS[-1]).click()
    choice = tab.frame.get_by_role("button", name=f"Unit {unit}", exact=True).first
    choice.wait_for(timeout=LATE)
    tab.page.wait_for_timeout(2500)
    moving.shoot(1200)
    choice.scroll_into_view_if_needed()
    moving.glide(choice)
    moving.shoot(600)
    choice.click()
    on_graph = tab.frame.get_by_test_id("on-graph")
    on_graph.first.wait_for(timeout=LATE)
    tab.page.wait_for_timeout(2500)
    moving.shoot(2200)
    for place in THUMBNAILS:
        moving.glide(on_graph.nth(place))
        moving.shoot(1400)
    moving.save(IMAGES / "tab.webp")
    tab.page.context.close()


# What is logged for each part, and how many snapshots that is.
PARTS = {
    "tutorial": (log_demo, 6),
    "readme": (log_for_readme, 2),
    "training": (log_training, 46),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures into docs/images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="where logs and the cache go")
    parser.add_argument("--unit", type=int, default=UNIT, help=f"unit of {FILM_LAYERS[-1]}")
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    options = parser.parse_args(arguments)
    environ = {**os.environ, "TB_MODELCOMPARE_CACHE": str(options.out.resolve() / "cache")}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        for part, (make, snapshots) in PARTS.items():
            if options.only not in (None, part):
                continue
            logdir = options.out / "logs" / part
            logdir.mkdir(parents=True, exist_ok=True)
            make(logdir)
            board = Board(logdir, environ, options.out / "tensorboard.log")
            try:
                board.wait("data/plugin/modelcompare/", snapshots)
                if part == "tutorial":
                    tutorial(browser, board.url)
                    unit_sheet(logdir, options.out / "analogies", environ)
                elif part == "training":
                    training(browser, board.url)
                else:
                    for theme in ("light", "dark"):
                        still(browser, board.url, theme)
                    render(browser, board.url, options.unit)
                    film(browser, board.url, options.unit)
            finally:
                board.end()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

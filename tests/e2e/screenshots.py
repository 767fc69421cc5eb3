"""Pictures of every state of the tab: `./run screenshots OUT` runs this.

OUT gets a folder for each of the logs in `pairs.py`, and `logs/` with what was logged for them,
which a later run uses again. With `--logdir`, the pictures are of logs that are there. Without real
models and photos only the demo is photographed.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from figure_page import page_data
from live_tab import Board, Tab
from pairs import PAIRS, REPORT, SEEDS, look_at, shared
from playwright.sync_api import Error, sync_playwright
from states import STATES, State, Subject, enter, is_there, quiet

from tb_modelcompare.log.reader import list_snapshots

THEMES = ("light", "dark")
SIZES = ((1024, 768), (1440, 900), (2560, 1440))


AGAIN = 3  # pictures in a row that are the same are of a page at rest
LONGEST = 60  # seconds; a page that never is, is photographed all the same


class Alone(Tab):
    """The tab in a file of its own, without a page around it."""

    @property
    def frame(self) -> Any:
        return self.page

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)


def picture(tab: Tab) -> bytes:
    """The page as it is drawn once it stays as it is."""
    end = time.monotonic() + LONGEST
    same, last = 1, b""
    while same < AGAIN and time.monotonic() < end:
        quiet(tab)
        now = tab.page.screenshot()
        same, last = (same + 1 if now == last else 1), now
    return last


def photograph(browser: Any, subject: Subject, state: State, folder: Path) -> list[str]:
    """One state in both themes at every width; what the browser complained of."""
    complaints = []
    for theme in THEMES:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(60_000)
        tab = (Alone if state.at == "report" else Tab)(context.new_page())
        # Set before the tab is there: what it draws on canvas is drawn once.
        tab.page.emulate_media(color_scheme=theme)
        address = f"{getattr(subject, state.at)}?darkMode={str(theme == 'dark').lower()}"
        try:
            enter(tab, state, replace(subject, **{state.at: address}))
            for width, height in SIZES:
                tab.page.set_viewport_size({"width": width, "height": height})
                state.point(tab)
                file = folder / f"{state.name}-{theme}-{width}.png"
                file.write_bytes(picture(tab))
        except (Error, AssertionError) as problem:  # the other states are photographed all the same
            complaints.append(f"not reached: {str(problem).splitlines()[0]}")
            tab.page.screenshot(path=folder / f"{state.name}-{theme}-not-reached.png")
        complaints += [one for one in tab.complaints if not _is_meant(one, state)]
        context.close()
    return complaints


def _is_meant(complaint: str, state: State) -> bool:
    return bool(state.complaint) and state.complaint in complaint


def main(arguments: Sequence[str] | None = None) -> int:
    """Photograph; 1 if a state was not reached or the browser complained."""
    parser = argparse.ArgumentParser(prog="./run screenshots", description=__doc__)
    parser.add_argument("out", type=Path, help="where pictures and logs go")
    parser.add_argument("--only", default="", help="states whose names match this expression")
    parser.add_argument("--pair", choices=[pair.name for pair in PAIRS], help="one pair alone")
    parser.add_argument("--logdir", type=Path, help="two models that are logged, instead")
    options = parser.parse_args(arguments)
    wrong = 0
    environ = {**os.environ, "TB_MODELCOMPARE_CACHE": str(options.out.resolve() / "cache")}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        for name, logdir, at, subject in subjects(options):
            folder = options.out / name
            folder.mkdir(parents=True, exist_ok=True)
            board = None
            if at == "report":
                subject = replace(subject, **held(logdir / REPORT))
            else:
                board = Board(logdir, environ, folder / "tensorboard.log")
                subject = replace(subject, **{at: board.url})
            try:
                if board:
                    board.wait("data/plugin/modelcompare/", len(list_snapshots(logdir).snapshots))
                for state in STATES:
                    if not re.search(options.only, state.name) or not is_there(state, subject):
                        continue
                    said = photograph(browser, subject, state, folder)
                    wrong += bool(said)
                    print(name, state.name, *said, sep="  ", flush=True)
            finally:
                if board:
                    board.end()
    return int(wrong > 0)


def held(report: Path) -> dict[str, str]:
    """The address of a report, and a unit and a pair of layers of which it holds pictures."""
    drawn = page_data(report.read_text(encoding="utf-8"))["pictures"]["analogies"]
    asked = next(one["asked"] for one in drawn if one["asked"]["a"] == SEEDS[0])
    of = {"layer": asked["layer"], "partner": asked["layer"], "unit": str(asked["unit"])}
    return {"report": report.resolve().as_uri(), **of}


def subjects(options: argparse.Namespace) -> Iterator[tuple[str, Path, str, Subject]]:
    """Each log directory with a name for its pictures, where it is seen, and what of it is."""
    if options.logdir is not None:
        yield (
            options.logdir.resolve().name,
            options.logdir,
            "url",
            Subject(**look_at(options.logdir)),
        )
        return
    for pair in PAIRS:
        if options.pair not in (None, pair.name):
            continue
        if pair.real and not (shared() / "models").is_dir():
            print(f"{pair.name}: left out, as there are no models and photos in {shared()}")
            continue
        logdir = options.out / "logs" / pair.name
        logdir.mkdir(parents=True, exist_ok=True)
        pair.log(logdir)
        yield pair.name, logdir, pair.at, Subject(**pair.subject)


if __name__ == "__main__":
    raise SystemExit(main())

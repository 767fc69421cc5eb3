"""Pictures of every state of the tab: `./run screenshots OUT` runs this.

OUT gets a folder for each pair of models (see `pairs.py`), and `logs/` with what was logged for
them, which a later run uses again. With `--logdir`, the pictures are of logs that are there.
Without real models and photos only the demo is photographed.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from live_tab import Board, Tab
from pairs import PAIRS, Pair, look_at, shared
from playwright.sync_api import Error, sync_playwright
from states import STATES, State, Subject, enter

from tb_modelcompare.log.reader import list_snapshots

THEMES = ("light", "dark")
SIZES = ((1024, 768), (1440, 900), (2560, 1440))


def photograph(browser: Any, subject: Subject, state: State, folder: Path) -> list[str]:
    """One state in both themes at every width; what the browser complained of."""
    complaints = []
    for theme in THEMES:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(60_000)
        tab = Tab(context.new_page())
        # Set before the tab is there: what it draws on canvas is drawn once.
        tab.page.emulate_media(color_scheme=theme)
        address = f"{subject.url}?darkMode={str(theme == 'dark').lower()}"
        try:
            enter(tab, state, Subject(**{**vars(subject), "url": address}))
        except (Error, AssertionError) as problem:  # the other states are photographed all the same
            complaints.append(f"not reached: {str(problem).splitlines()[0]}")
        for width, height in SIZES:
            tab.page.set_viewport_size({"width": width, "height": height})
            tab.page.wait_for_timeout(900)
            state.point(tab)
            tab.page.screenshot(path=folder / f"{state.name}-{theme}-{width}.png")
        complaints += tab.complaints
        context.close()
    return complaints


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
        for name, logdir, seen in subjects(options):
            folder = options.out / name
            folder.mkdir(parents=True, exist_ok=True)
            board = Board(logdir, environ, folder / "tensorboard.log")
            try:
                board.wait("data/plugin/modelcompare/", len(list_snapshots(logdir).snapshots))
                subject = Subject(url=board.url, **seen)
                for state in STATES:
                    if not re.search(options.only, state.name):
                        continue
                    said = photograph(browser, subject, state, folder)
                    wrong += bool(said)
                    print(name, state.name, *said, sep="  ", flush=True)
            finally:
                board.end()
    return int(wrong > 0)


def subjects(options: argparse.Namespace) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Each log directory with a name for its pictures, and what of it is looked at."""
    if options.logdir is not None:
        yield options.logdir.resolve().name, options.logdir, look_at(options.logdir)
        return
    for pair in PAIRS:
        if options.pair not in (None, pair.name):
            continue
        if pair.name != "demo" and not (shared() / "models").is_dir():
            print(f"{pair.name}: left out, as there are no models and photos in {shared()}")
            continue
        logdir = options.out / "logs" / pair.name
        pair.log(logdir)
        yield pair.name, logdir, chosen(pair, logdir)


def chosen(pair: Pair, logdir: Path) -> dict[str, Any]:
    """What of a pair is looked at, at its last step."""
    last = max(snapshot.step for snapshot in list_snapshots(logdir).snapshots)
    return {
        key: tuple(one.format(last=last) for one in value)
        if isinstance(value, tuple)
        else value.format(last=last)
        for key, value in pair.subject.items()
    }


if __name__ == "__main__":
    raise SystemExit(main())

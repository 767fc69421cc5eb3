"""Fixtures that several areas share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from skipping import missing


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests unless asked for."""
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--all"):
            item.add_marker(pytest.mark.skip(reason="slow; ./run test --all runs it"))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Real models and photos that are not part of the repository.

    Looked for in `../shared/data` beside the checkout, or where the environment
    variable TB_MODELCOMPARE_SHARED says.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    directory = Path(os.environ.get("TB_MODELCOMPARE_SHARED", default))
    if not (directory / "models").is_dir():
        pytest.skip(f"needs real models and photos in {directory}, which is absent")
    return directory


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium; tests that need it are skipped where there is none."""
    if util.find_spec("playwright") is None:
        missing("needs playwright: pip install playwright")
    wanted = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    found = shutil.which(wanted)
    if found is None:
        missing(f"needs Chromium: {wanted} is absent; install it, or set CHROMIUM to its path")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One browser for all tests of a process, as Playwright cannot be started twice in one."""
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--headless", "--disable-background-networking"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=options)
        yield launched
        launched.close()

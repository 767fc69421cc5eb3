"""Fixtures that several areas share."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import pytest

# Processes that share the tests share the processors too. Threads of BLAS and of TensorFlow, which
# wait for each other in loops that do nothing, would cost as much again as the tests themselves.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(name, "1")

import numpy as np
from skipping import missing

from tb_modelcompare import Probe, SummaryWriter


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests as well")


# Processes that share the tests take whole files. The files that take long come first, so that no
# process is left alone with one of them at the end.
LONG_FILES = ("e2e", "cli", "capture", "docs", "zoo", "tests", "render", "jobs", "server")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests unless asked for, and begin with what takes long."""
    if hasattr(config, "workerinput"):  # a process of pytest-xdist
        items.sort(key=lambda item: _turn(item.path.parent.name))
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--all"):
            item.add_marker(pytest.mark.skip(reason="slow; ./run test --all runs it"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test with the same random numbers, whatever ran before it in its process.

    One small network in fifty has a silent layer by its random weights, and what a test then asks
    of that layer holds no more. Keras takes its seeds from `random`.
    """
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def _turn(folder: str) -> int:
    return LONG_FILES.index(folder) if folder in LONG_FILES else len(LONG_FILES)


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


@pytest.fixture(scope="session")
def probe() -> Probe:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    return Probe(pixels, positions_per_image=3, seed=1, names=[f"{i}.png" for i in range(10)])


@pytest.fixture
def logdir(tmp_path: Path, probe: Probe) -> Path:
    """Two runs: `a` with two steps of one model, `b` with two models."""
    rng = np.random.default_rng(1)

    def layers() -> dict[str, np.ndarray]:
        return {"conv1": rng.random((30, 4)), "deep/conv2": rng.random((30, 7))}

    with SummaryWriter(tmp_path / "logs" / "a", probe) as writer:
        writer.add_activations("net", layers(), step=0)
        writer.add_activations("net", layers(), step=5)
    with SummaryWriter(tmp_path / "logs" / "b", probe) as writer:
        writer.add_activations("one", layers())
        writer.add_activations("two/half", layers())
    return tmp_path / "logs"

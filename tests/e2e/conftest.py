"""Fixtures of a real TensorBoard over logs of the real writer, and a real browser before it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_tab import (
    HOSTILE,
    PREFIX,
    ROOT,
    SIZE,
    UNPREPARED,
    Board,
    Tab,
    activations,
    network,
    probe_images,
    wide_activations,
)
from once import made_once
from patience import LATE
from rendered import drawn_here, models  # noqa: F401
from skipping import missing


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which TensorBoard discovers the plugin, be it installed or not."""
    site = tmp_path_factory.mktemp("site")
    found = metadata.entry_points(group="tensorboard_plugins")
    if not any(point.name == "modelcompare" for point in found):
        info = site / "tb_modelcompare_checkout-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: tb-modelcompare-checkout\nVersion: 0\n")
        (info / "entry_points.txt").write_text(
            "[tensorboard_plugins]\nmodelcompare = tb_modelcompare.loader:ModelCompareLoader\n"
        )
    # A board has as many threads as a user's, and not the one of a process of tests.
    limits = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return {
        **{name: value for name, value in os.environ.items() if name not in limits},
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "TB_MODELCOMPARE_CACHE": str(tmp_path_factory.mktemp("cache")),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Path:
    if not (ROOT / "tb_modelcompare/static/index.js").is_file():
        missing("the tab is not built: run `npm ci && npm run build` in frontend/")
    return made_once(tmp_path_factory, "e2e", _write_logs)


def _write_logs(root: Path) -> None:
    from tb_modelcompare import Preprocessing, Probe, SummaryWriter

    probe = Probe(probe_images(0), positions_per_image=4)
    scale = Preprocessing.range(-1, 1)
    with SummaryWriter(root / "first", probe) as writer:
        writer.add_model("first", network(1, 6), preprocessing=scale, progress=False)
    with SummaryWriter(root / "second", probe) as writer:
        writer.add_model("second", network(2, 8), preprocessing=scale, progress=False)
    with SummaryWriter(root / "steps", probe) as writer:
        for step in (0, 10, 20):
            writer.add_activations("trained", activations(step), step=step)
        lines = {("stem", "one"): 0.9, ("stem", "two"): 0.2, ("block_add", "two"): 0.6}
        writer.add_alignment("By hand", f"{root}:first", ("trained", 0), lines)
    with SummaryWriter(root / HOSTILE, probe) as writer:
        layers = {f"{HOSTILE}{i}": values for i, values in enumerate(activations(1).values())}
        writer.add_activations(HOSTILE, layers)
    with SummaryWriter(root / "elsewhere", Probe(probe_images(9), positions_per_image=4)) as writer:
        bare, other = activations(2)["two"], activations(5)["one"]
        capped = {"capped": np.minimum(bare, 0.5), "cut": np.minimum(other, 0.5)}
        writer.add_activations("elsewhere", {**activations(2), **capped})
    with SummaryWriter(root / "damaged", probe) as writer:
        writer.add_activations("damaged", activations(3))
    for array in (root / "damaged").rglob("arrays/*.bin"):
        array.unlink()
    with SummaryWriter(root / "wide", probe) as writer:
        writer.add_activations("wide", wide_activations())
    with SummaryWriter(root / "few", Probe(probe_images(4, 3), positions_per_image=4)) as writer:
        writer.add_activations("few", {name: x[:12] for name, x in activations(6).items()})
    texts = Probe.from_arrays(np.arange(160).reshape(40, 4), positions="all")
    with SummaryWriter(root / "texts", texts) as writer:
        writer.add_activations("texts", activations(7))
    orphan = next((root / "damaged").rglob("snapshots/*")).with_name("net-9-01234567")
    orphan.mkdir()  # of a writer that was killed long ago
    os.utime(orphan, (1e9, 1e9))


@pytest.fixture(scope="session")
def ending() -> Iterator[list[Board]]:
    """Those that were told to end, which takes seconds each: all are awaited together."""
    boards: list[Board] = []
    yield boards
    for board in boards:
        board.end()


@pytest.fixture(scope="module")
def start_board(
    environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory, ending: list[Board]
) -> Iterator[Callable[..., Board]]:
    """Starts a board that ends with the tests of the file."""
    with _starting(environ, tmp_path_factory, ending) as start:
        yield start


@contextmanager
def _starting(
    environ: dict[str, str],
    factory: pytest.TempPathFactory,
    ending: list[Board],
) -> Iterator[Callable[..., Board]]:
    """Without TensorFlow, with which tests/server/test_tensorboard.py starts its own."""
    running: list[Board] = []

    def start(logdir: Path, *options: str, prefix: str = "", snapshots: int = 0) -> Board:
        log = factory.mktemp("board") / "tensorboard.log"
        board = Board(logdir, environ, log, *options, bare=True)
        running.append(board)
        board.wait(f"{prefix}{PREFIX}/", snapshots)
        return board

    yield start
    for board in running:
        board.process.terminate()
    ending += running


@pytest.fixture(scope="session")
def board(
    logs: Path,
    environ: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    ending: list[Board],
) -> Iterator[Board]:
    with _starting(environ, tmp_path_factory, ending) as start:
        yield start(logs, snapshots=11)


@pytest.fixture(scope="session")
def pages(browser: Any) -> Iterator[dict[bool, Any]]:
    """Pages that rest between two tests: one where TensorBoard prepares, one for other tests."""
    from playwright.sync_api import expect

    expect.set_options(timeout=LATE)
    resting: dict[bool, Any] = {}
    yield resting
    for page in resting.values():
        page.context.close()


@pytest.fixture
def prepares() -> bool:
    """Whether TensorBoard draws what nobody has asked for yet, as it does for users."""
    return False


@pytest.fixture
def tab(
    browser: Any,
    board: Board,
    pages: dict[bool, Any],
    prepares: bool,
    request: pytest.FixtureRequest,
) -> Iterator[Tab]:
    if prepares not in pages:
        context = browser.new_context(viewport=SIZE)
        context.set_default_timeout(LATE)
        if not prepares:
            context.add_init_script(UNPREPARED)
        pages[prepares] = context.new_page()
    tab = Tab(pages.pop(prepares))
    yield tab
    shots = os.environ.get("TB_MODELCOMPARE_SHOTS")
    if shots:
        tab.page.screenshot(path=f"{shots}/{request.node.name}.png")
    pages[prepares] = tab.rest()
    assert tab.complaints == []
    assert len(tab.hosts) <= 1, f"requests went to {tab.hosts}"


@pytest.fixture(scope="session")
def violations(browser: Any) -> Callable[[Tab], list[str]]:
    """What axe-core finds wrong with a tab as it is drawn now."""
    script = ROOT / "frontend/node_modules/axe-core/axe.min.js"
    if not script.is_file():
        missing("needs axe-core: run `npm ci` in frontend/")

    def find(tab: Tab) -> list[str]:
        tab.run(script.read_text())
        result = tab.run("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
            for violation in result["violations"]
            for node in violation["nodes"][:3]
        ]

    return find

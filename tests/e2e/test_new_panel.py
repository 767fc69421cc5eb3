"""A new panel is one file: the template, dropped with its job into a copy of the tree."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copies import PACKAGE, ROOT, copy_tree, drop, run, run_node
from live_tab import PREFIX, Board, Tab
from patience import LATE
from skipping import missing

from tb_modelcompare import open_snapshot

LOGS = ROOT / "tests" / "fixtures" / "logs" / "0.1.0"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The tree with a job and its panel, and the tab built from it."""
    if not (ROOT / "frontend" / "node_modules").is_dir() or shutil.which("node") is None:
        missing("needs the front end's packages: run `npm ci` in frontend/")
    tree = copy_tree(tmp_path / "tree")
    drop("job.py", tree, f"{PACKAGE}/jobs/row_lengths.py")
    drop("Panel.svelte", tree, "frontend/src/panels/lengths/Lengths.svelte")
    for done in (run(tree, "-m", "build_support.generate"), run_node(tree, "vite", "build")):
        assert done.returncode == 0, done.stderr
    return tree


@pytest.fixture
def board(changed: Path, environ: dict[str, str], tmp_path: Path) -> Iterator[Board]:
    """A TensorBoard that runs the copy."""
    paths = environ["PYTHONPATH"].replace(str(ROOT), str(changed))
    log = tmp_path / "tensorboard.log"
    board = Board(LOGS, {**environ, "PYTHONPATH": paths}, log, folder=changed, bare=True)
    board.wait(f"{PREFIX}/", 3)
    yield board
    board.end()


@pytest.mark.slow  # tests/test_adding.py has its small siblings
def test_a_new_job_shows_its_panel_and_what_it_found(board: Board, browser: Any) -> None:
    context = browser.new_context(viewport={"width": 1300, "height": 800})
    context.set_default_timeout(LATE)
    tab = Tab(context.new_page())
    snapshot, other = (open_snapshot(LOGS, one) for one in ("first@0", "second/nested"))
    tab.open(board.url, a=snapshot.id, b=other.id)
    panel = tab.frame.get_by_role("region", name="Lengths of rows")
    for name in snapshot.layer_names:
        rows = snapshot.activations(name).astype(np.float64)
        length = np.sqrt((rows**2).sum(axis=1).mean())
        value = panel.locator(f"dt:text-is('{name}') + dd")
        value.wait_for()
        assert float(value.inner_text()) == pytest.approx(length, rel=5e-3)
    assert tab.complaints == []
    context.close()

"""A new measure and a new framework are one file each: templates, dropped into a copy of the tree.

The copy runs in processes of its own, from the command line.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tb_modelcompare import open_snapshot

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "tests" / "fixtures" / "templates"
LOGS = ROOT / "tests" / "fixtures" / "logs" / "0.1.0"
PACKAGE = "tb_modelcompare"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and of what builds its docs."""
    tree = tmp_path / "tree"
    passing = shutil.ignore_patterns("__pycache__", "static", "_lucid")
    for folder in (PACKAGE, "build_support"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=passing)
    return tree


def run(tree: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_measure_is_one_file(copy: Path) -> None:
    name, out = "row_length_correlation", copy / "values.csv"
    command = ["-m", PACKAGE, "similarity", LOGS, "first@0", "second/nested", "--measure", name]
    before = run(copy, *command)
    assert before.returncode == 2
    assert name in before.stderr
    shutil.copy(TEMPLATES / "measure.py", copy / PACKAGE / "similarity" / "measures" / "new.py")
    after = run(copy, *command, "--csv", out)
    assert after.returncode == 0, after.stderr
    rows = list(csv.reader(out.open(encoding="utf-8")))
    x, y = (open_snapshot(LOGS, one).activations("stem") for one in ("first@0", "second/nested"))
    lengths = [np.linalg.norm(one - one.mean(axis=0), axis=1) for one in (x, y)]
    assert rows[0][:2] == [name, "stem"]
    assert float(rows[1][1]) == pytest.approx(np.corrcoef(*lengths)[0, 1], abs=1e-4)
    told = "from build_support.docs_pages import measures; print(measures())"
    listed = [one[4:] for one in run(copy, "-c", told).stdout.splitlines() if one[:4] == "### "]
    assert (listed[0], listed[-1]) == ("linear_cka", name)  # the default is still the first


def test_a_framework_is_one_file(copy: Path) -> None:
    (copy / "photos").mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(copy / "photos" / f"{i}.png")
    weights = np.random.default_rng(9).standard_normal((3, 5))
    model = copy / "model.linear"
    model.write_text(json.dumps({"mix": weights.tolist()}), encoding="utf-8")
    command = ["-m", PACKAGE, "log", model, "--probe", "photos", "--logdir", "logs/run"]
    command += ["--size", "16", "--positions", "2"]
    shutil.copy(TEMPLATES / "framework.py", copy / PACKAGE / "capture" / "linear.py")
    after = run(copy, *command)
    assert after.returncode == 0, after.stderr
    snapshot = open_snapshot(copy / "logs", "run")
    probe = snapshot.probe()
    expected = probe.sample((probe.images / 255).astype(np.float32) @ weights)
    np.testing.assert_allclose(snapshot.activations("mix"), expected, atol=1e-5)
    unknown = run(copy, *command[:3], ROOT / "README.md", *command[4:])
    assert unknown.returncode == 2
    assert "no model file that we know" in unknown.stderr
    assert "a .linear file" in unknown.stderr  # the message says what there is

"""The benchmark of similarity runs to its end, also where there is no progressive estimate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "similarity.py"


@pytest.mark.parametrize(
    ("memory", "ends"),
    [
        ("1024", "of the values"),
        pytest.param("0.05", "no progressive estimate", marks=pytest.mark.slow),
    ],
)
def test_the_notebook_section_ends(memory: str, ends: str) -> None:
    small = ["--rows", "400", "--widths", "8", "24", "16", "--memory", memory, "--repeats", "1"]
    command = [sys.executable, str(BENCHMARK), "--only", "notebook", *small]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ends in done.stdout.splitlines()[-1]

"""Benchmarks of similarity run to their end, also where there is no progressive estimate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("memory", "ends"),
    [
        ("1024", "of the values"),
        pytest.param("0.05", "no progressive estimate", marks=pytest.mark.slow),
    ],
)
def test_the_notebook_section_ends(memory: str, ends: str) -> None:
    small = ["--rows", "400", "--widths", "8", "24", "16", "--memory", memory, "--repeats", "1"]
    command = [sys.executable, str(BENCHMARKS / "similarity.py"), "--only", "notebook", *small]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ends in done.stdout.splitlines()[-1]


def test_small_layers_have_the_same_values_in_every_way() -> None:
    small = ["--layers", "4", "--units", "3", "--rows", "40", "--repeats", "1"]
    command = [sys.executable, str(BENCHMARKS / "small_layers.py"), *small]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, header, *lines = done.stdout.splitlines()
    assert header.split() == ["CPU", "/", "ours", "wall", "difference"]
    assert [line.split()[0] for line in lines] == ["ours", "each", "numpy"]
    assert all(float(line.split()[-1]) < 1e-6 for line in lines)

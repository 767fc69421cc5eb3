"""`draw`: units with their facets, and what is between two of them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from command_line import Run
from PIL import Image

QUICK = ("--size", 32, "--steps", 8)


def drawn(out: Path, printed: str) -> dict[str, np.ndarray]:
    """Pictures by their files, in order; the table has the numbers of all of them."""
    rows = list(csv.DictReader((out / "pictures.csv").open()))
    for row, line in zip(rows, printed.splitlines()[1:], strict=False):
        assert f"{float(row['stronger_than']):.0%}" in line
    files = [row["file"] for row in rows]
    assert sorted(file.name for file in out.glob("0*.png")) == files
    assert (out / "sheet.html").read_text().count("<img") == 5 * len(files)
    return {file: np.asarray(Image.open(out / file)) for file in files}


def test_units_with_facets_and_with_what_is_between(
    inside: Run, models: Path, tmp_path: Path
) -> None:
    between, facets = tmp_path / "between", tmp_path / "facets"
    units = ("conv2:3", "conv2:1-0")
    done = inside("draw", models, "a", *units, "--between", 1, "--out", between, *QUICK)
    assert done.returncode == 0, done.stderr
    names = [line.split("  ")[0] for line in done.stdout.splitlines()[1:4]]
    assert names == ["conv2:3", "conv2:3 to conv2:1-0, 50%", "conv2:1-0"]
    pictures = drawn(between, done.stdout)
    assert len({picture.tobytes() for picture in pictures.values()}) == 3

    done = inside("draw", models, "a", "conv2:3", "--facets", 2, "--out", facets, *QUICK)
    assert done.returncode == 0, done.stderr
    alone, *others = drawn(facets, done.stdout).values()
    assert np.array_equal(alone, next(iter(pictures.values())))
    assert len({picture.tobytes() for picture in (alone, *others)}) == 3

    done = inside("draw", models, "a", "conv2:3", "--facets", 2, "--between", 1)
    assert done.returncode == 2
    assert "not allowed with" in done.stderr
    done = inside("draw", models, "a", "conv2:3", "--between", 1)
    assert done.returncode == 2
    assert "--between is of two units or more" in done.stderr

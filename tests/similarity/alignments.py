"""Matrices and what every rule of alignment makes of them, in tests/fixtures/alignments.json.

The library and the tab both read layer pairs from a matrix, each in its own language. Both are
tested against this one file. ``python tests/similarity/alignments.py`` writes it anew from the
library, for a case that is added or a rule that is changed on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.similarity import Comparison
from tb_modelcompare.similarity import alignment as align

FILE = Path(__file__).parents[1] / "fixtures/alignments.json"

RULES = {
    "best_matches": align.best_matches,
    "mutual_best": align.mutual_best,
    "one_to_one": align.one_to_one,
    "monotone_path": align.monotone_path,
}


def matrices() -> Iterator[tuple[str, bool, npt.NDArray[np.float64]]]:
    """Name, whether the values are distances, values."""
    random = np.random.default_rng(0)
    for height, width in ((5, 5), (7, 4), (4, 9), (30, 22)):
        yield f"random {height} x {width}", False, random.random((height, width))
        yield f"distances {height} x {width}", True, 1.5 * random.random((height, width))
        yield f"ties {height} x {width}", False, random.integers(0, 4, (height, width)) / 10
        yield f"equal distances {height} x {width}", True, random.integers(0, 3, (height, width))
    depth = np.subtract.outer(np.linspace(0, 1, 12), np.linspace(0, 1, 8))
    yield "a ridge along depth", False, np.exp(-4 * abs(depth)) + 0.1 * random.random(depth.shape)
    yield "distances along depth", True, abs(depth) + 0.1 * random.random(depth.shape)
    yield "against depth", False, np.exp(-4 * abs(depth[::-1]))
    yield "of both signs", False, random.standard_normal((6, 6))
    yield "all negative", False, -1 - random.random((5, 7))
    yield "large distances", True, 1e6 * random.random((6, 5))
    yield "one pair", False, np.array([[0.4]])
    yield "one pair at no distance", True, np.array([[0.0]])
    yield "one row", False, random.random((1, 6))
    yield "one column of distances", True, random.random((6, 1))
    yield "all the same", False, np.full((5, 4), 0.1)
    yield "all at the same distance", True, np.full((4, 6), 0.3)
    yield "all zero", False, np.zeros((3, 3))
    corners = random.random((4, 4))
    corners[[0, -1], [0, -1]] = -3
    yield "ends that nothing resembles", False, corners
    for height, width in ((6, 6), (5, 8), (9, 4)):
        holes = random.random((height, width))
        holes[random.random(holes.shape) < 0.3] = np.nan
        yield f"missing values {height} x {width}", False, holes
        yield f"missing distances {height} x {width}", True, 2 * holes
    silent = random.random((5, 4))
    silent[2] = silent[:, 1] = np.nan
    yield "layers without any value", False, silent
    yield "constant but for the diagonal", False, np.where(np.eye(4), np.nan, 0.5)
    yield "zero but for the diagonal", True, np.where(np.eye(3), np.nan, 0.0)
    yield "one value", False, np.array([[np.nan, np.nan], [np.nan, 0.3]])
    for seed in (4, 9):  # where the mean of the best path is below that of the matrix
        rows = np.random.default_rng(seed).random((5, 5))
        rows[[0, -1], [0, -1]] = -3
        yield f"low ends {seed}", False, rows


def _json(values: npt.NDArray[np.float64]) -> list[list[float | None]]:
    """As JSON has them: null where there is no value."""
    return [[None if np.isnan(one) else one for one in row] for row in values.tolist()]


def read(values: list[list[float | None]]) -> npt.NDArray[np.float64]:
    """As the library has them: NaN where there is no value."""
    return np.array(values, np.float64)


def expected(distance: bool, values: npt.NDArray[np.float64]) -> dict[str, Any]:
    """What the library makes of a matrix: pairs of indices and the score, by rule."""
    rows, columns = values.shape
    comparison = Comparison(
        np.asarray(values, np.float64),
        tuple(str(row) for row in range(rows)),
        tuple(str(column) for column in range(columns)),
        "procrustes_distance" if distance else "linear_cka",
    )
    found = {name: _read(rule(comparison)) for name, rule in RULES.items()}
    turned = replace(
        comparison,
        values=comparison.values.T,
        rows=comparison.columns,
        columns=comparison.rows,
    )
    seen_from_columns = _read(align.best_matches(turned))
    seen_from_columns["pairs"] = [[row, column] for column, row in seen_from_columns["pairs"]]
    return found | {"best_matches_of_columns": seen_from_columns}


def _read(alignment: align.Alignment) -> dict[str, Any]:
    return {
        "pairs": [[int(match.row), int(match.column)] for match in alignment.matches],
        "score": alignment.score,
    }


def main() -> None:
    """Write the file."""
    cases = [
        {
            "name": name,
            "distance": distance,
            "values": _json(np.asarray(values, np.float64).round(9)),
        }
        for name, distance, values in matrices()
    ]
    for case in cases:
        case["expected"] = expected(case["distance"], read(case["values"]))
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    FILE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()

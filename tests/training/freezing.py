"""Tables over training and when each layer froze, in tests/fixtures/freezing.json.

The library and the tab both say from which step on a layer is frozen. Both are tested against this
one file. ``python tests/training/freezing.py`` writes it anew from the library, for a case that is
added or a rule that is changed on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.training import freezing_steps, freezing_threshold

FILE = Path(__file__).parents[1] / "fixtures/freezing.json"

Range = tuple[float, float]


def tables() -> Iterator[tuple[str, bool, Range, npt.NDArray[np.float64]]]:
    """Name, whether the values are distances, the measure's range, values (layers, steps)."""
    random = np.random.default_rng(0)
    for layers, steps in ((4, 9), (12, 3), (12, 20)):
        climbing = np.clip(np.sort(random.random((layers, steps)), axis=1) * 1.3, 0, 1).round(3)
        yield f"climbing {layers} x {steps}", False, (0.0, 1.0), climbing
        yield f"falling {layers} x {steps}", True, (0.0, 1.0), (1 - climbing).round(3)
        holes = climbing.copy()
        holes[random.random(holes.shape) < 0.1] = np.nan
        yield f"missing {layers} x {steps}", False, (0.0, 1.0), holes
        yield f"missing distances {layers} x {steps}", True, (0.0, 1.0), (1 - holes).round(3)
    yield "correlations", False, (-1.0, 1.0), random.uniform(0.6, 1, (8, 8)).round(3)
    yield "angles", True, (0.0, np.pi / 2), random.uniform(0, 0.4, (8, 8)).round(3)
    at = freezing_threshold(0.0, 1.0)
    around = np.nextafter(at, 0), at, np.nextafter(at, 1)
    yield "at the threshold", False, (0.0, 1.0), np.array([[one] * 3 for one in around])
    at = freezing_threshold(0.0, 1.0, distance=True)
    around = np.nextafter(at, 0), at, np.nextafter(at, 1)
    yield "a tenth of a distance", True, (0.0, 1.0), np.array([[one] * 3 for one in around])
    yield "it froze and thawed", False, (0.0, 1.0), np.array([[1, 1, 0.2, 1], [1, 1, 1, 0.2]])
    yield "one step", False, (0.0, 1.0), np.array([[1.0], [0.5], [np.nan]])
    yield "one layer", False, (0.0, 1.0), np.array([[0.2, np.nan, 0.95, 0.95]])
    yield "constant", False, (0.0, 1.0), np.full((3, 4), 0.95)
    yield "no value at all", False, (0.0, 1.0), np.full((2, 3), np.nan)
    yield "the last value is missing", True, (0.0, 1.0), np.array([[0.0, 0.0, np.nan]])


def read(values: list[list[float | None]]) -> npt.NDArray[np.float64]:
    """As the library has them: NaN where there is no value."""
    return np.array(values, np.float64)


def expected(
    distance: bool, bounds: Range, values: npt.NDArray[np.float64]
) -> tuple[float, list[int | None]]:
    """The usual threshold, and the index of the step from which each layer is frozen."""
    threshold = freezing_threshold(*bounds, distance=distance)
    columns = range(values.shape[1])
    return threshold, list(freezing_steps(values, columns, threshold, distance=distance))


def _case(
    name: str, distance: bool, bounds: Range, values: npt.NDArray[np.float64]
) -> dict[str, Any]:
    threshold, frozen = expected(distance, bounds, values)
    cells = [[None if np.isnan(one) else one for one in row] for row in values.tolist()]
    return {
        "name": name,
        "distance": distance,
        "range": bounds,
        "values": cells,
        "threshold": threshold,
        "frozen": frozen,
    }


def main() -> None:
    """Write the file."""
    cases = (json.dumps(_case(*table), separators=(",", ":")) for table in tables())
    FILE.write_text("[\n" + ",\n".join(cases) + "\n]\n")


if __name__ == "__main__":
    main()

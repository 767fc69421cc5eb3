"""Every measure says from how many rows for a unit on it can be trusted, and warns below that."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from tb_modelcompare.errors import RowsFewerThanUnitsWarning
from tb_modelcompare.similarity import MEASURES, MomentStream, compare, refine
from tb_modelcompare.similarity.registry import MomentPlan

BIASED = [name for name, measure in MEASURES.items() if measure.rows_per_unit > 0]
BY_ROWS = [name for name in BIASED if math.isfinite(MEASURES[name].rows_per_unit)]
UNITS = 24


def unrelated(rows: int, seed: int = 0, units: int = UNITS) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((rows, units)), random.standard_normal((rows, units))


def alike(name: str, value: float) -> float:
    """How far of the way from unrelated layers, in truth, to equal ones."""
    measure = MEASURES[name]
    nothing = measure.high if measure.distance else max(measure.low, 0.0)
    whole = measure.low if measure.distance else measure.high
    return (value - nothing) / (whole - nothing)


@pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_declares_where_unrelated_layers_look_alike(name: str) -> None:
    measure = MEASURES[name]
    if name in ("mutual_knn", "cknna"):  # these know k and the number of rows, not of units
        assert measure.rows_per_unit == 0
        return
    bound = measure.rows_per_unit
    if math.isinf(bound):
        assert alike(name, measure.function(*unrelated(40 * UNITS))) > 0.75
    elif bound == 0:
        for seed in range(3):
            assert alike(name, measure.function(*unrelated(3 * UNITS, seed))) < 0.15
    else:
        assert 0.15 < alike(name, measure.function(*unrelated(int(bound * UNITS)))) < 0.36
        assert alike(name, measure.function(*unrelated(int(bound * UNITS / 2)))) > 0.25


@pytest.mark.parametrize("name", BY_ROWS)
def test_few_rows_are_warned_of_at_every_door(name: str) -> None:
    measure = MEASURES[name]
    x, y = unrelated(int(measure.rows_per_unit * 6) - 1, units=6)
    said = f"{len(x)} rows are fewer than"
    with pytest.warns(RowsFewerThanUnitsWarning, match=said) as told:
        measure.function(x, y)
    assert "X (6), Y (6)" in str(told[0].message)
    assert told[0].filename == __file__
    with pytest.warns(RowsFewerThanUnitsWarning, match=said):
        found = compare({"x": x}, {"y": y}, name)
    with pytest.warns(RowsFewerThanUnitsWarning, match=said):
        *_, last = refine({"x": x}, {"y": y}, name)
    assert last.comparison.warnings == found.warnings
    (note,) = found.warnings
    recommended = MEASURES[measure.instead]  # as the tab's menu calls it, and as Python does
    assert f"Use {recommended.title} ({recommended.name})" in note
    if isinstance(measure.plan(), MomentPlan):
        stream = MomentStream()
        stream.update({"x": x}, {"y": y})
        with pytest.warns(RowsFewerThanUnitsWarning, match=said) as told:
            assert stream.compare(name).warnings == found.warnings
        assert told[0].filename == __file__


@pytest.mark.parametrize("name", BY_ROWS)
def test_enough_rows_are_not_warned_of(name: str) -> None:
    measure = MEASURES[name]
    x, y = unrelated(int(measure.rows_per_unit * 6), units=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure.function(x, y)
        assert compare({"x": x}, {"y": y}, name).warnings == ()


@pytest.mark.parametrize("name", BIASED)
def test_what_is_recommended_does_not_have_the_bias(name: str) -> None:
    assert MEASURES[MEASURES[name].instead].rows_per_unit == 0


@pytest.mark.parametrize("rows", [300, 900])
def test_what_no_number_of_rows_mends_is_always_said(rows: int) -> None:
    """Distances are never negative: unrelated layers have 1 / (1 + c²), c their relative spread."""
    x, y = unrelated(rows, units=24)
    with pytest.warns(RowsFewerThanUnitsWarning) as told:
        found = compare({"x": x}, {"y": y}, "rsa_cosine")
    said = str(told[0].message)
    assert "whatever the number of rows" in said
    assert "fewer" not in said
    assert "Use RSA, Pearson (rsa_pearson) or Debiased linear CKA (unbiased_linear_cka)." in said
    assert found.warnings == (said,)
    assert found.values[0, 0] == pytest.approx(1 / (1 + 2 / 24), abs=0.01)


def test_wide_unrelated_layers_are_pointed_to_the_debiased_measure_by_functions_and_streams() -> (
    None
):
    """200 rows of 500 units: linear CKA is 0.72 of layers that share nothing, RBF CKA 0.99."""
    x, y = unrelated(200, units=500)
    for name in ("linear_cka", "rbf_cka", "procrustes"):
        with pytest.warns(RowsFewerThanUnitsWarning, match=r"Use Debiased \w+ CKA \(unbiased_"):
            assert alike(name, MEASURES[name].function(x, y)) > 0.7
    halves = []
    for rows in (slice(100), slice(100, 200)):
        stream = MomentStream()
        stream.update({"narrow": x[rows, :3]}, {"wide": y[rows]})
        halves.append(stream)
    halves[0].merge(halves[1])
    with pytest.warns(RowsFewerThanUnitsWarning, match=r"\(unbiased_linear_cka\)") as told:
        halves[0].compare("linear_cka")
    assert "wide (500)" in str(told[0].message)
    assert "narrow" not in str(told[0].message)  # 200 rows are enough for 3 units
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert abs(MEASURES["unbiased_linear_cka"].function(x, y)) < 0.05
        assert abs(halves[0].compare("unbiased_linear_cka").values[0, 0]) < 0.05

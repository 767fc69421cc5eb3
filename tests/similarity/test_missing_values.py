"""A measure that is not defined for one layer has a missing value there, and says why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError, UndefinedLayerError
from tb_modelcompare.similarity import MEASURES, MinibatchCKA, compare, refine

RANDOM = np.random.default_rng(0)
ROWS = 48
SOUND = {name: RANDOM.standard_normal((ROWS, 4)) for name in ("first", "second")}


def mostly_silent() -> np.ndarray:
    """A ReLU layer that responds to three of the images."""
    layer = np.zeros((ROWS, 4))
    layer[:3] = RANDOM.standard_normal((3, 4))
    return layer


def of_equal_distances() -> np.ndarray:
    return np.eye(ROWS)


def with_a_flat_row() -> np.ndarray:
    layer = RANDOM.standard_normal((ROWS, 4))
    layer[7] = 2.0
    return layer


def along_one_ray() -> np.ndarray:
    return np.outer(np.arange(1.0, ROWS + 1.0), [1.0, 2.0])


UNDEFINED: tuple[tuple[str, Callable[[], np.ndarray], str], ...] = (
    ("rbf_cka", mostly_silent, "median distance is 0"),
    ("unbiased_rbf_cka", mostly_silent, "median distance is 0"),
    ("rsa_pearson", of_equal_distances, "same distance between all pairs"),
    ("unbiased_rbf_cka", of_equal_distances, "same distance between all pairs"),
    ("mutual_knn_cosine", along_one_ray, "do not vary in direction"),
)


@pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
@pytest.mark.parametrize(("measure", "layer", "why"), UNDEFINED)
def test_one_layer_costs_no_other_its_value(
    measure: str, layer: Callable[[], np.ndarray], why: str
) -> None:
    without = compare(SOUND, SOUND, measure).values
    models = {**SOUND, "odd": layer()}
    for other in (models, dict(models)):  # itself, and another that is equal
        found = compare(models, other, measure, groups="rows", permutations=9, resamples=8)
        np.testing.assert_allclose(found.values[:2, :2], without, atol=1e-12)
        assert np.isnan(found.values[2]).all()
        assert np.isnan(found.values[:, 2]).all()
        (note,) = [one for one in found.warnings if one.startswith("No value for odd: ")]
        assert why in note
        for name, beside in found.statistics().items():
            assert np.isfinite(beside[:2, :2]).all(), name
        assert np.isnan(found.statistics()["p_value"][2]).all()
        assert "odd" not in {match.row for match in found.best()}
    last = list(refine(models, dict(models), measure))[-1].comparison
    np.testing.assert_array_equal(last.values, found.values)
    for door in (
        lambda: MEASURES[measure].function(models["odd"], SOUND["first"]),
        lambda: compare({"odd": models["odd"]}, SOUND, measure),
    ):
        with pytest.raises(ActivationError, match=why):
            door()


def test_the_function_on_arrays_names_the_error() -> None:
    with pytest.raises(UndefinedLayerError, match="on row 7"):
        MEASURES["rsa_pearson"].function.__wrapped__(  # type: ignore[attr-defined]
            with_a_flat_row(), SOUND["first"], distance="correlation"
        )


def test_minibatches_without_a_width_leave_one_layer_without_a_value() -> None:
    stream, sound = MinibatchCKA(kernel="rbf"), MinibatchCKA(kernel="rbf")
    models = {**SOUND, "odd": mostly_silent()}
    for rows in (slice(0, 24), slice(24, ROWS)):
        stream.update({name: layer[rows] for name, layer in models.items()})
        sound.update({name: layer[rows] for name, layer in SOUND.items()})
    found = stream.compare()
    np.testing.assert_allclose(found.values[:2, :2], sound.compare().values, atol=1e-12)
    assert np.isnan(found.values[2]).all()
    assert any(
        note.startswith("No value for odd: in the first batch, half or more")
        for note in found.warnings
    )


def test_a_layer_without_a_value_on_some_resamples_has_no_interval() -> None:
    layer = np.zeros((ROWS, 4))
    layer[:14] = RANDOM.standard_normal((14, 4))  # 561 of 1,128 pairs of rows are equal
    models = {**SOUND, "odd": layer}
    found = compare(models, SOUND, "unbiased_rbf_cka", groups="rows", resamples=20)
    assert np.isfinite(found.values).all()
    assert found.low is not None
    assert np.isnan(found.low[2]).all()
    assert np.isfinite(found.low[:2]).all()
    assert any(note.startswith("Some pairs have no interval") for note in found.warnings)

"""Where a few images carry a layer, results say that intervals of biased measures hold less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare.similarity import MEASURES, Comparison, compare
from tb_modelcompare.similarity.few_images import carried_by_few, images_that_carry

IMAGE = np.repeat(np.arange(60), 2)


def heavy(seed: int, freedom: float, units: int = 10) -> np.ndarray:
    """Rows of Student's distribution, both of an image multiplied by the same factor."""
    random = np.random.default_rng(seed)
    factor = np.ones(60)
    if np.isfinite(freedom):
        factor = np.sqrt(freedom / random.chisquare(freedom, 60))
    return np.asarray(random.standard_normal((120, units)) * factor[IMAGE, None])


def test_a_layer_amounts_to_the_images_that_add_to_its_variance() -> None:
    equal = np.tile([[1.0], [-1.0]], (60, 1))
    assert images_that_carry(equal, IMAGE) == pytest.approx(60)
    alone = np.zeros((120, 3))
    alone[8] = 1e200
    assert images_that_carry(alone, IMAGE) == pytest.approx(1, abs=0.1)
    assert images_that_carry(np.ones((120, 2)), IMAGE) == 60  # none adds more than another
    half = equal * (IMAGE < 30)[:, None]
    assert images_that_carry(half + 5.0, IMAGE) == pytest.approx(30)


def test_normal_layers_are_not_carried_by_few_and_those_with_outliers_are() -> None:
    normal = {f"{seed}": heavy(seed, np.inf) for seed in range(50)}
    assert carried_by_few(normal, IMAGE) == ()
    tails = {f"{seed}": heavy(seed, 2.0) for seed in range(50)}
    assert len(carried_by_few(tails, IMAGE)) > 25


def test_results_say_so_of_biased_measures_with_an_interval(tmp_path: Path) -> None:
    a, b = {"even": heavy(0, np.inf)}, {"far": heavy(1, np.inf)}
    b["far"][IMAGE == 7] *= 30.0
    options = {"groups": IMAGE, "resamples": 20}
    found = compare(a, b, "procrustes_angle", **options)  # type: ignore[arg-type]
    assert found.interval_label == (
        "repeatability at 60 images (less than that here, as a few images carry a layer)"
    )
    assert [note for note in found.warnings if "carry far." in note]
    assert Comparison.load(found.save(tmp_path / "it.npz")).interval_label == found.interval_label
    even = compare(a, {"x": heavy(2, np.inf)}, "procrustes_angle", **options)  # type: ignore[arg-type]
    assert even.interval_label == "repeatability at 60 images"
    assert not [note for note in even.warnings if "carry" in note]
    debiased = compare(a, b, "unbiased_linear_cka", **options)  # type: ignore[arg-type]
    assert debiased.interval_label == MEASURES["unbiased_linear_cka"].interval_label(60)
    assert not [note for note in debiased.warnings if "carry" in note]
    assert compare(a, b, "procrustes_angle").interval_label == ""

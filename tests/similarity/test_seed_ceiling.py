"""What another training of a model reaches is a ceiling for each of its layers."""

from __future__ import annotations

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.similarity import Comparison, compare, linear_regression, seed_ceiling

pytestmark = pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")
Model = dict[str, np.ndarray]
IMAGE = np.repeat(np.arange(60), 2)
SIGNAL = np.random.default_rng(99).standard_normal((120, 6))


def training(seed: int, noise: float = 0.5) -> Model:
    """Layers that know the same of the images, each in its own basis; the last knows less."""
    random = np.random.default_rng(seed)
    return {
        name: SIGNAL @ random.standard_normal((6, units))
        + amount * random.standard_normal((120, units))
        for name, units, amount in (("first", 8, noise), ("last", 5, 6 * noise))
    }


def test_it_is_the_mean_similarity_of_each_layer_to_the_same_layer_of_the_others() -> None:
    model, others = training(0), [training(1), training(2)]
    for name in ("linear_cka", "unbiased_linear_cka", "procrustes_distance", "mutual_knn"):
        found = seed_ceiling(model, others, name, groups=IMAGE)
        assert list(found) == ["first", "last"]
        for layer in model:
            alone = [
                compare({layer: model[layer]}, {layer: one[layer]}, name, groups=IMAGE, seeds=None)
                for one in others
            ]
            expected = np.mean([one.values[0, 0] for one in alone])
            assert found[layer] == pytest.approx(expected, abs=1e-6)
    assert seed_ceiling(model, others)["first"] > seed_ceiling(model, others)["last"] + 0.1


def test_it_is_measured_from_the_model_to_the_others_with_the_options_of_the_measure() -> None:
    model, other = training(0), training(1)
    for direction in ("x_to_y", "y_to_x"):
        found = seed_ceiling(model, [other], f"linear_regression_{direction}")
        expected = linear_regression(model["last"], other["last"], direction=direction)
        assert found["last"] == pytest.approx(expected)
    few = seed_ceiling(model, [other], "svcca", threshold=0.5)
    assert few != seed_ceiling(model, [other], "svcca", threshold=0.99)
    with pytest.raises(OptionError, match="treshold"):
        seed_ceiling(model, [other], "svcca", treshold=0.5)


def test_a_comparison_has_it_in_every_column(tmp_path) -> None:  # type: ignore[no-untyped-def]
    a, others = training(0), [training(1)]
    a["flat"] = np.ones((120, 3))
    b = {f"b{i}": layer for i, layer in enumerate(training(3).values())} | {"more": SIGNAL}
    found = compare(a, b, groups=IMAGE, constant="drop", seeds=others)
    assert found.ceiling is not None
    assert found.ceiling.shape == found.values.shape == (2, 3)
    expected = list(seed_ceiling(training(0), others, groups=IMAGE).values())
    np.testing.assert_allclose(found.ceiling, np.tile(expected, (3, 1)).T)
    assert compare(a, b, constant="drop").ceiling is None
    again = Comparison.load(found.save(tmp_path / "it.npz"))
    np.testing.assert_array_equal(again.ceiling, found.ceiling)  # type: ignore[arg-type]


def test_a_layer_that_is_constant_in_one_training_has_the_ceiling_of_the_others() -> None:
    model, one, flat = training(0), training(1), training(2)
    flat["last"] = np.zeros((120, 5))
    assert seed_ceiling(model, [one, flat])["last"] == seed_ceiling(model, [one])["last"]
    alone = seed_ceiling(model, [flat])
    assert np.isnan(alone["last"])
    assert alone["first"] > 0.5


@pytest.mark.parametrize(
    ("name", "itself"), [("linear_cka", 1.0), ("unbiased_linear_cka", 1.0), ("shape_metric", 0.0)]
)
def test_a_layer_that_training_has_not_changed_is_as_similar_as_to_itself(
    name: str, itself: float
) -> None:
    model, one, other = training(0), training(1), training(2)
    one["first"] = model["first"].copy()
    found = seed_ceiling(model, [one], name, groups=IMAGE)
    assert found["first"] == pytest.approx(itself, abs=1e-6)
    assert found["last"] == seed_ceiling(training(0), [training(1)], name, groups=IMAGE)["last"]
    both = seed_ceiling(model, [one, other], name, groups=IMAGE)["first"]
    alone = seed_ceiling(model, [other], name, groups=IMAGE)["first"]
    assert both == pytest.approx((itself + alone) / 2, abs=1e-6)


def test_a_comparison_says_which_layer_is_the_same_in_other_trainings() -> None:
    model, one, other = training(0), training(1), training(2)
    one["first"] = model["first"].copy()
    found = compare(model, training(3), groups=IMAGE, seeds=[one, other])
    assert [note for note in found.warnings if "very same" in note] == [
        "Layer 'first' is the very same in 1 of 2 other trainings, where its ceiling is what the "
        "measure gives a layer with itself."
    ]
    assert not any("very same" in n for n in compare(model, other, groups=IMAGE).warnings)


def test_what_is_no_other_training() -> None:
    model = training(0)
    with pytest.raises(ActivationError, match="very activations of the model"):
        seed_ceiling(model, [training(1), training(0)])
    with pytest.raises(ActivationError, match="training 2 in seeds has no layer 'last'"):
        seed_ceiling(model, [training(1), {"first": training(2)["first"]}])
    wider = training(1) | {"last": np.random.default_rng(0).standard_normal((120, 6))}
    with pytest.raises(ActivationError, match=r"\(120, 5\) in the model and \(120, 6\)"):
        seed_ceiling(model, [wider])
    with pytest.raises(ActivationError, match="at least one other training"):
        seed_ceiling(model, [])

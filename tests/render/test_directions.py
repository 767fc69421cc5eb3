"""Pictures of directions: that they excite their unit, are reproducible, and can be stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from responses import noise, one_hot, response

from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.render import FrozenModel, RenderCancelled, render_directions
from tests.render.conftest import Freeze


@pytest.mark.parametrize(
    ("layer", "units", "factor"), [("first", 8, 1.3), ("third", 24, 1.5), ("hidden", 12, 1.5)]
)
def test_a_unit_responds_to_its_picture_far_more_than_to_noise(
    small_net: FrozenModel, small_model: Any, layer: str, units: int, factor: float
) -> None:
    on_noise = [response(small_model, layer, unit, noise()) for unit in range(units)]
    unit = int(np.argsort(on_noise)[3 * units // 4])  # one that noise excites well already
    picture = render_directions(small_net, [(layer, one_hot(units, unit))], size=64, steps=64)
    assert picture.shape == (1, 64, 64, 3)
    assert picture.dtype == np.uint8
    assert response(small_model, layer, unit, picture) > factor * on_noise[unit]


def test_a_negative_direction_suppresses_the_unit(small_net: FrozenModel, small_model: Any) -> None:
    both = [("logits", one_hot(5, 2)), ("logits", -one_hot(5, 2))]
    up, down = render_directions(small_net, both, size=64, steps=48)
    middle = response(small_model, "logits", 2, noise())
    assert response(small_model, "logits", 2, up[None]) > middle
    assert response(small_model, "logits", 2, down[None]) < middle


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(small_net: FrozenModel) -> None:
    from tb_modelcompare.render import loop

    jobs = [("second", one_hot(16, 3)), ("third", one_hot(24, 5)), ("logits", one_hot(5, 0))]
    first = render_directions(small_net, jobs, size=48, steps=24, seed=7)
    warm = render_directions(small_net, jobs, size=48, steps=24, seed=7)
    loop.forget_programs()
    cold = render_directions(small_net, jobs, size=48, steps=24, seed=7)
    other = render_directions(small_net, jobs, size=48, steps=24, seed=8)
    np.testing.assert_array_equal(first, warm)
    np.testing.assert_array_equal(first, cold)
    assert (first != other).mean() > 0.5


def test_rendering_leaves_numpys_global_random_state_alone(small_net: FrozenModel) -> None:
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    render_directions(small_net, [("first", one_hot(8, 0))], size=32, steps=2)
    assert np.random.rand() == expected


def test_each_direction_gets_its_own_layers_picture(
    small_net: FrozenModel, small_model: Any
) -> None:
    units = {"first": 8, "second": 16, "third": 24}

    def nth(layer: str, rank: int) -> tuple[str, int]:
        """A unit that noise excites, so that random weights have not left it constant."""
        order = np.argsort([-response(small_model, layer, u, noise()) for u in range(units[layer])])
        return layer, int(order[rank])

    jobs = [nth("third", 0), nth("first", 0), nth("third", 1), nth("second", 1), nth("first", 1)]
    directions = [(layer, one_hot(units[layer], unit)) for layer, unit in jobs]
    pictures = render_directions(small_net, directions, size=64, steps=24).astype(float)
    for own, direction in enumerate(directions):
        (alone,) = render_directions(small_net, [direction], size=64, steps=24)
        distances = [np.abs(picture - alone).mean() for picture in pictures]
        assert int(np.argmin(distances)) == own


def test_previews_come_in_order_and_sharpen(small_net: FrozenModel, small_model: Any) -> None:
    seen: list[tuple[int, dict[int, np.ndarray]]] = []
    steps: list[tuple[int, int]] = []
    final = render_directions(
        small_net,
        [("third", one_hot(24, 5)), ("first", one_hot(8, 1))],
        size=48,
        steps=40,
        preview_steps=(4, 16, 32, 64),
        on_step=lambda step, total: steps.append((step, total)),
        on_images=lambda step, images: seen.append((step, images)),
    )
    assert [step for step, _ in seen] == [4, 16, 32, 40]
    assert steps == [(i, 40) for i in range(1, 41)]
    assert all(list(images) == [1, 0] for _, images in seen)  # in order of depth
    for i, picture in seen[-1][1].items():
        np.testing.assert_array_equal(picture, final[i])
    values = [response(small_model, "third", 5, images[0][None]) for _, images in seen]
    assert values == sorted(values)


def test_cancel_is_seen_within_one_step(small_net: FrozenModel) -> None:
    steps: list[int] = []
    with pytest.raises(RenderCancelled):
        render_directions(
            small_net,
            [("first", one_hot(8, 0))],
            size=32,
            steps=200,
            on_step=lambda step, _: steps.append(step),
            cancelled=lambda: len(steps) >= 5,
        )
    assert len(steps) == 5


def test_the_next_job_is_not_disturbed_by_a_cancelled_one(small_net: FrozenModel) -> None:
    job = [("first", one_hot(8, 0))]
    expected = render_directions(small_net, job, size=32, steps=12)
    with pytest.raises(RenderCancelled):
        render_directions(
            small_net, job, size=32, steps=12, seed=3,
            on_step=lambda step, _: None, cancelled=iter([False] * 6 + [True]).__next__,
        )  # fmt: skip
    np.testing.assert_array_equal(render_directions(small_net, job, size=32, steps=12), expected)


def test_the_preprocessing_is_the_models(freeze: Freeze, small_model: Any) -> None:
    """A model that wants BGR of 0..255 less a mean, and does what `small_model` does, looks
    at the same picture."""
    import keras

    mean = np.array([103.0, 117.0, 123.0])
    image = keras.Input((64, 64, 3))
    unit = (image + keras.ops.convert_to_tensor(mean, "float32"))[..., ::-1] / 255.0
    wrapped = freeze(
        keras.Model(image, small_model(unit)), Preprocessing.caffe(mean=tuple(mean.tolist()))
    )
    plain = freeze(small_model)
    inner = next(name for name in wrapped.tensors if name.endswith("third"))
    job = one_hot(24, 5)
    expected = render_directions(plain, [("third", job)], size=48, steps=24)
    actual = render_directions(wrapped, [(inner, job)], size=48, steps=24)
    wrong = render_directions(
        FrozenModel(**{**vars(wrapped), "preprocessing": Preprocessing()}),
        [(inner, job)],
        size=48,
        steps=24,
    )
    assert np.abs(actual.astype(int) - expected).mean() < 1.0
    assert np.abs(wrong.astype(int) - expected).mean() > 10.0


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_a_unit_that_noise_does_not_excite_gets_going(freeze: Freeze, activation: str) -> None:
    """Without the redirected gradient nothing would ever flow back through this unit."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 5, activation=activation, name="silent"),
        ]
    )
    kernel, bias = model.layers[0].get_weights()
    kernel -= kernel.mean((0, 1, 2))  # constant grey excites nothing
    model.layers[0].set_weights([kernel, bias - 0.1])
    assert response(model, "silent", 1, np.full((1, 32, 32, 3), 128)) == 0
    picture = render_directions(freeze(model), [("silent", one_hot(4, 1))], size=32, steps=64)
    assert response(model, "silent", 1, picture) > 0.1


def test_a_cosine_makes_the_direction_purer(small_net: FrozenModel, small_model: Any) -> None:
    import keras

    part = keras.Model(small_model.inputs, small_model.get_layer("third").output)

    def purity(cossim_pow: float) -> float:
        picture = render_directions(
            small_net, [("third", one_hot(24, 5))], size=64, steps=64, cossim_pow=cossim_pow
        )
        activations = np.asarray(part(picture.astype(np.float32) / 255)).reshape(-1, 24)
        mean = activations.mean(0)
        return float(mean[5] / np.linalg.norm(mean))

    assert purity(2.0) > purity(0.0)


def test_a_picture_that_gains_nothing_more_is_left_alone(
    freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    from keras import layers

    from tb_modelcompare.render.program import Program

    taken: list[int] = []
    step = Program.step
    monkeypatch.setattr(Program, "step", lambda self, m: taken.append(1) or step(self, m))
    keras.utils.set_random_seed(3)
    colour = layers.Conv2D(2, 1, activation="sigmoid", name="colour")
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Rescaling(20.0), colour])
    steps: list[int] = []
    picture = render_directions(
        freeze(model),
        [("colour", one_hot(2, 0))],
        size=16,
        steps=600,
        on_step=lambda done, _: steps.append(done),
    )
    assert 128 <= len(taken) < 500
    assert steps[-1] == 600
    assert response(model, "colour", 0, picture) > 0.95


def test_a_unit_that_is_silent_for_long_gets_going_also_beside_a_loud_one(freeze: Freeze) -> None:
    """Its gradient is redirected until it is excited, be that after more than lucid's 16 steps."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 5, activation="relu", name="loud"),
            layers.Conv2D(4, 3, activation="relu", name="silent"),
        ]
    )
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([kernel, bias - 0.6])
    directions = [("loud", one_hot(4, 1)), ("silent", one_hot(4, 2))]
    assert response(model, "silent", 2, noise(size=32)) == 0
    picture = render_directions(freeze(model), directions, size=32, steps=96)[1:]
    assert response(model, "silent", 2, picture) > 0
    assert picture.std() > 20

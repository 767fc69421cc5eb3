"""Large pictures begin small."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from responses import one_hot, response

from tb_modelcompare.capture.receptive import ReceptiveField
from tb_modelcompare.errors import ActivationError
from tb_modelcompare.render import FrozenModel, render_directions, render_directions_at
from tb_modelcompare.render.plan import auto_size, stages
from tb_modelcompare.render.program import Program
from tb_modelcompare.render.spectrum import picture_spectrum
from tests.render.conftest import Freeze


@pytest.mark.parametrize(
    ("size", "steps", "expected"),
    [
        ((96, 96), 128, [(96, 0, 128)]),
        ((160, 120), 128, [(160, 0, 128)]),
        ((192, 192), 128, [(96, 0, 128), (192, 128, 48)]),
        ((384, 384), 128, [(96, 0, 128), (192, 128, 48), (384, 176, 24)]),
        ((512, 300), 128, [(128, 0, 128), (256, 128, 48), (512, 176, 24)]),
        ((384, 384), 1, [(96, 0, 1), (192, 1, 1), (384, 2, 1)]),
    ],
)
def test_a_larger_picture_takes_the_steps_of_the_smaller_one_and_more(
    size: tuple[int, int], steps: int, expected: list[tuple[int, int, int]]
) -> None:
    found = stages(*size, steps)
    assert [(stage.height, stage.first, stage.steps) for stage in found] == expected


@pytest.mark.parametrize(("height", "width", "channels"), [(40, 48, 3), (33, 47, 1)])
def test_a_picture_becomes_parameters_that_give_it_back(
    freeze: Freeze, height: int, width: int, channels: int
) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((None, None, channels)), layers.Conv2D(2, 3, activation="relu", name="layer")]
    )
    seen: list[np.ndarray] = []
    frozen = freeze(model)
    start = Program.start
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.1, 0.9, (1, height, width, channels)).astype(np.float32)

    def given(self: Program, seed: int, targets: Any, pictures: Any = None) -> None:
        start(self, seed, targets, picture)
        seen.append(self.pictures())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Program, "start", given)
        patch.setattr("tb_modelcompare.render.plan._FEW_POSITIONS", 0)
        from tb_modelcompare.render import render_caricatures

        photo = np.full((height, width, channels), 0.5, np.float32)
        render_caricatures(frozen, photo, ["layer"], size=max(height, width), steps=1)
    np.testing.assert_allclose(seen[0], picture, atol=1e-3)
    assert np.isfinite(picture_spectrum(np.zeros_like(picture), 4)).all()


def test_a_large_picture_shows_a_preview_of_every_stage(
    small_net: FrozenModel, small_model: Any
) -> None:
    seen: list[int] = []
    shares: list[float] = []
    jobs = [("third", one_hot(24, 5))]
    (picture,) = render_directions(
        small_net,
        jobs,
        size=192,
        steps=16,
        preview_steps=(4, 12),
        on_images=lambda step, images: seen.append(step),
        on_step=lambda done, total: shares.append(done / total),
    )
    assert seen == [4, 12, 16, 22]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert picture.shape == (192, 192, 3)
    (small,) = render_directions(small_net, jobs, size=96, steps=16)
    enlarged = np.kron(small, np.ones((2, 2, 1)))  # of the same shapes, and more of them
    assert np.corrcoef(enlarged.ravel(), picture.ravel())[0, 1] > 0.5
    assert response(small_model, "third", 5, picture[None]) > response(
        small_model, "third", 5, enlarged[None]
    )


def field(stride: int, size: int) -> ReceptiveField:
    return ReceptiveField((224, 224), (0, 0), (stride, stride), (size, size))


@pytest.mark.parametrize(
    ("seen", "size"),
    [
        (field(2, 7), 96),  # a first convolution
        (field(8, 91), 192),  # GoogLeNet's inception_3b
        (field(16, 235), 192),  # MobileNetV2's expanded_conv_12
        (field(32, 491), 384),  # MobileNetV2's last convolution
        (field(4, 500), 192),  # small steps, but each position sees much
        (field(16, 927), 384),  # InceptionV3's mixed_7
        (field(64, 4000), 384),
        (None, 192),
    ],
)
def test_auto_gives_a_layer_the_size_that_its_positions_need(
    seen: ReceptiveField | None, size: int
) -> None:
    assert auto_size(seen) == size


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The layer and the size of every step of every picture that is drawn."""
    steps: list[tuple[str, int]] = []
    step = Program.step

    def counted(self: Program, matrix: Any) -> Any:
        steps.extend((layer, self.recipe.height) for layer in self.recipe.layers)
        return step(self, matrix)

    monkeypatch.setattr(Program, "step", counted)
    return steps


def test_auto_draws_each_layer_at_its_own_size(
    small_net: FrozenModel, drawn: list[tuple[str, int]]
) -> None:
    model = replace(small_net, receptive_fields={"first": field(2, 5), "third": field(16, 21)})
    jobs = [("first", one_hot(8, 1)), ("third", one_hot(24, 5))]
    pictures = render_directions(model, jobs, size="auto", steps=4)
    assert pictures.shape == (2, 192, 192, 3)
    assert set(drawn) == {("first", 96), ("third", 96), ("third", 192)}


def test_a_picture_continues_from_a_smaller_one_and_is_the_same(
    small_net: FrozenModel, drawn: list[tuple[str, int]]
) -> None:
    jobs = [("third", one_hot(24, 5))]
    (whole,) = render_directions_at(small_net, jobs, [192], steps=8)
    (small,) = render_directions_at(small_net, jobs, [96], steps=8)
    drawn.clear()
    (further,) = render_directions_at(small_net, jobs, [192], smaller={0: small}, steps=8)
    np.testing.assert_array_equal(further, whole)
    assert drawn == 3 * [("third", 192)]
    with pytest.raises(ActivationError, match=r"continues from RGB pictures of \[96\]"):
        render_directions_at(small_net, jobs, [192], smaller={0: whole}, steps=8)


def test_a_layer_of_fixed_size_is_drawn_once_whatever_is_known_of_it(
    freeze: Freeze, drawn: list[tuple[str, int]]
) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((40, 40, 3)),
            layers.Conv2D(3, 5, strides=4),
            layers.Flatten(),
            layers.Dense(4, name="scores"),
        ]
    )
    small = np.zeros((96, 96, 3), np.uint8)
    (picture,) = render_directions_at(
        freeze(model), [("scores", one_hot(4, 1))], [192], smaller={0: small}, steps=2
    )
    assert picture.shape == (192, 192, 3)
    assert drawn == 2 * [("scores", 40)]

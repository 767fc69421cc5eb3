"""Large pictures begin small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from responses import one_hot, response

from tb_modelcompare.render import FrozenModel, render_directions
from tb_modelcompare.render.plan import stages
from tb_modelcompare.render.program import Program
from tb_modelcompare.render.spectrum import picture_spectrum
from tests.render.conftest import Freeze


@pytest.mark.parametrize(
    ("size", "steps", "expected"),
    [
        ((96, 96), 128, [(96, 0, 128)]),
        ((160, 120), 128, [(160, 0, 128)]),
        ((192, 192), 128, [(96, 0, 80), (192, 80, 48)]),
        ((512, 300), 128, [(128, 0, 56), (256, 56, 48), (512, 104, 24)]),
        ((384, 384), 1, [(192, 0, 1)]),
    ],
)
def test_every_step_is_taken_at_one_size(
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
    assert seen == [4, 10, 12, 16]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert picture.shape == (192, 192, 3)
    (small,) = render_directions(small_net, jobs, size=96, steps=10)
    enlarged = np.kron(small, np.ones((2, 2, 1)))  # of the same shapes, and more of them
    assert np.corrcoef(enlarged.ravel(), picture.ravel())[0, 1] > 0.5
    assert response(small_model, "third", 5, picture[None]) > response(
        small_model, "third", 5, enlarged[None]
    )


def test_auto_draws_only_coarse_layers_large(
    small_net: FrozenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tb_modelcompare.render import plan

    drawn: list[tuple[str, int]] = []
    step = Program.step

    def counted(self: Program, matrix: Any) -> Any:
        drawn.extend((layer, self.recipe.height) for layer in self.recipe.layers)
        return step(self, matrix)

    monkeypatch.setattr(Program, "step", counted)
    monkeypatch.setattr(plan, "_COARSE_STRIDE", 4)  # the last layer of this network
    jobs = [("first", one_hot(8, 1)), ("third", one_hot(24, 5))]
    pictures = render_directions(small_net, jobs, size="auto", steps=4)
    assert pictures.shape == (2, 192, 192, 3)
    assert set(drawn) == {("first", 96), ("third", 96), ("third", 192)}

"""Caricatures: pictures that make a layer see what it saw in a photo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.render import FrozenModel, RenderCancelled, render_caricatures
from tests.render.conftest import Freeze


def photo(height: int = 64, width: int = 64) -> np.ndarray:
    """A bright disc left of the middle, stripes on the right."""
    v, u = np.mgrid[0:height, 0:width]
    disc = (v - height / 2) ** 2 + (u - width / 3) ** 2 < (height / 5) ** 2
    stripes = (u > 2 * width / 3) & (v // 4 % 2 == 0)
    image = np.full((height, width, 3), 90, np.uint8)
    image[disc] = (230, 200, 60)
    image[stripes] = (30, 60, 200)
    return image


def activations(model: Any, layer: str, pictures: np.ndarray) -> np.ndarray:
    import keras

    part = keras.Model(model.inputs, model.get_layer(layer).output)
    found = np.asarray(part(pictures.astype(np.float32) / 255))
    return found.reshape(len(pictures), -1)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_the_layer_sees_in_it_what_it_saw_in_the_photo(
    small_net: FrozenModel, small_model: Any
) -> None:
    layers = ["first", "third"]
    pictures = render_caricatures(small_net, photo(), layers, size=64, steps=96, cossim_pow=1.0)
    assert pictures.shape == (2, 64, 64, 3)
    mirrored = photo()[:, ::-1]
    for layer, picture in zip(layers, pictures, strict=True):
        shown, same, other = activations(small_model, layer, np.stack([picture, photo(), mirrored]))
        grey = activations(small_model, layer, np.full((1, 64, 64, 3), 128))[0]
        assert cosine(shown, same) > cosine(shown, other)
        assert cosine(shown, same) > cosine(grey, same)


def test_the_photos_proportions_are_kept(small_net: FrozenModel) -> None:
    pictures = render_caricatures(small_net, photo(48, 96), ["second"], size=64, steps=4)
    assert pictures.shape == (1, 32, 64, 3)


def test_seed_previews_and_cancel(small_net: FrozenModel) -> None:
    seen: list[int] = []

    def render(**more: Any) -> np.ndarray:
        return render_caricatures(small_net, photo(), ["first", "third"], size=32, steps=8, **more)

    first = render(preview_steps=(2, 4), on_images=lambda step, _: seen.append(step))
    assert seen == [2, 4, 8]
    np.testing.assert_array_equal(first, render())
    assert (render(seed=1) != first).any()
    with pytest.raises(RenderCancelled):
        render(cancelled=lambda: True)


def test_a_photo_with_the_colours_of_floats_is_the_same_photo(small_net: FrozenModel) -> None:
    bytes_, floats = photo(), photo().astype(np.float32) / 255
    a = render_caricatures(small_net, bytes_, ["second"], size=64, steps=8)
    b = render_caricatures(small_net, floats, ["second"], size=64, steps=8)
    assert np.abs(a.astype(int) - b).max() <= 1


def test_a_grey_model_behind_a_fixed_size_head(freeze: Freeze) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((20, 28, 1)),
            layers.Conv2D(6, 5, activation="relu", name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(10, name="logits"),
        ]
    )
    frozen = freeze(model, Preprocessing.range(-1, 1))
    pictures = render_caricatures(frozen, photo(), ["conv", "logits"], size=40, steps=8)
    assert pictures.shape == (2, 40, 40, 3)
    assert (pictures[1, :5] == 128).all()  # 20×28 between grey bars
    np.testing.assert_array_equal(pictures[..., 0], pictures[..., 1])


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3)])
def test_no_photo(small_net: FrozenModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ActivationError, match="photo has shape"):
        render_caricatures(small_net, np.zeros(shape, np.uint8), ["first"], size=32)

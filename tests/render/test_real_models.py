"""A network that people use: its units answer to their pictures more than to any photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.render import render_directions
from tests.render.conftest import Freeze


@pytest.mark.slow
def test_googlenets_units_answer_to_their_pictures_more_than_to_the_best_photo(
    freeze: Freeze, shared_dir: Path
) -> None:
    import keras

    model = keras.models.load_model(shared_dir / "models" / "googlenet_bvlc.keras")
    part = keras.Model(model.inputs, model.get_layer("inception_4d").output)
    caffe = Preprocessing.caffe(mean=(104.0, 117.0, 123.0))
    units = [484, 8, 67]

    def means(images: np.ndarray) -> np.ndarray:
        """Mean of the units over the positions of each image (n, h, w, 3) in [0, 255]."""
        maps = np.asarray(part(caffe.apply(images.astype(np.float32) / 255)))
        return maps[..., units].mean((1, 2))

    best = means(Probe.from_directory(shared_dir / "images" / "open_224", limit=48).images).max(0)
    directions = [("inception_4d", np.eye(part.output.shape[-1])[unit]) for unit in units]
    pictures = render_directions(freeze(part, caffe), directions, size=96, steps=32)
    # This network takes 224 px only: the picture, and again beside it.
    tiled = np.pad(pictures, ((0, 0), (0, 128), (0, 128), (0, 0)), "wrap")
    own = np.diagonal(means(tiled))
    assert (own > 1.5 * best).all(), (own, best)

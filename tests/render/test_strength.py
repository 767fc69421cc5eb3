"""The number beside a picture: how it ranks among the images of the probe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from responses import one_hot, response

from tb_modelcompare.render import FrozenModel, picture_activities


def test_a_pictures_activity_is_the_networks_and_does_not_hang_on_single_pixels(
    small_net: FrozenModel, small_model: Any
) -> None:
    plain = np.full((64, 64, 3), (90, 140, 200), np.uint8)
    unit = int(np.argmax([response(small_model, "hidden", u, plain[None]) for u in range(12)]))
    (found,) = picture_activities(small_net, [("hidden", one_hot(12, unit))], [plain])
    assert found == pytest.approx(response(small_model, "hidden", unit, plain[None]), rel=1e-4)

    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    moved = np.roll(picture, (2, -2), (0, 1))
    layers = [("second", one_hot(16, 3)), ("second", one_hot(16, 3))]
    one, other = picture_activities(small_net, layers, [picture, moved])
    assert one == pytest.approx(other, rel=0.1)

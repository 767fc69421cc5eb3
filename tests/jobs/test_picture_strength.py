"""How a picture ranks among the images of the probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rendered import A

from tb_modelcompare.compare.strength import share_of_weaker_images
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.render import FrozenModel, picture_activities, render_directions


def test_a_unit_and_its_opposite_are_at_the_two_ends_of_the_images(models: Path) -> None:
    snapshot = open_snapshot(models, A)
    unit = np.eye(6)[3]
    model = FrozenModel.from_snapshot(snapshot)
    up, down = render_directions(model, [("conv2", unit), ("conv2", -unit)], size=32, steps=32)
    most, least = picture_activities(model, [("conv2", unit), ("conv2", unit)], [up, down])
    shares = [share_of_weaker_images(snapshot, "conv2", unit, value) for value in (most, least)]
    assert shares[0] > 0.95
    assert shares[1] < 0.5


def test_the_share_counts_images_by_their_mean_and_ties_by_half(models: Path) -> None:
    snapshot = open_snapshot(models, A)
    unit = np.eye(6)[2]
    means = (snapshot.activations("conv2") @ unit).reshape(20, -1).mean(1)
    order = np.sort(means)
    assert share_of_weaker_images(snapshot, "conv2", unit, order[-1] + 1) == 1.0
    assert share_of_weaker_images(snapshot, "conv2", unit, order[0] - 1) == 0.0
    middle = (order[9] + order[10]) / 2
    assert share_of_weaker_images(snapshot, "conv2", unit, middle) == 0.5
    assert share_of_weaker_images(snapshot, "constant", np.eye(4)[0], 0.0) == 0.5

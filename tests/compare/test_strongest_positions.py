"""What a unit is most active on: as it was logged over all positions, else at the probe's."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.compare.units import top_positions
from tb_modelcompare.log.reader import Snapshot, open_snapshot
from tb_modelcompare.log.strongest import PER_UNIT

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def probe() -> Probe:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    return Probe(pixels, positions_per_image=6)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, probe: Probe) -> tuple[Snapshot, Any]:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    conv = keras.layers.Conv2D(4, 5, strides=2, name="conv")(image)
    model = keras.Model(image, keras.layers.ReLU(0.3, name="capped")(conv))
    root = tmp_path_factory.mktemp("logs")
    with SummaryWriter(root, probe) as writer:
        writer.add_model("net", model, layers=["conv", "capped"], progress=False)
    maps = keras.Model(image, conv)(probe.images / np.float32(255))
    return open_snapshot(root, "."), np.asarray(maps)


def test_the_largest_of_all_positions_with_what_it_sees(
    logged: tuple[Snapshot, Any], probe: Probe
) -> None:
    snapshot, maps = logged
    top = top_positions(snapshot, probe, "conv", 2, 3)
    full = maps[..., 2].reshape(12, -1)
    images = np.argsort(-full.max(axis=1))[:3]
    assert [one["image"] for one in top.positions] == images.tolist()
    for one, image in zip(top.positions, images, strict=True):
        row, column = divmod(int(full[image].argmax()), 6)
        assert one["value"] == pytest.approx(full[image].max(), abs=1e-5)
        assert (one["u"], one["v"]) == ((row + 0.5) / 6, (column + 0.5) / 6)
        assert one["box"] == [row / 8, column / 8, 5 / 16, 5 / 16]
    assert (top.tied, top.ranked_by) == (0, None)


def test_more_images_than_were_kept_and_the_least_active_are_read_at_the_probes_positions(
    logged: tuple[Snapshot, Any], probe: Probe
) -> None:
    snapshot, _ = logged
    at_positions = snapshot.activations("conv")[:, 2]
    many = top_positions(snapshot, probe, "conv", 2, PER_UNIT + 1)
    assert many.positions[0]["value"] == at_positions.max()
    least = top_positions(snapshot, probe, "conv", 2, 1, negative=True)
    assert least.positions[0]["value"] == -at_positions.min()


def test_a_layer_before_a_cap_decides_between_equal_values(
    logged: tuple[Snapshot, Any], probe: Probe
) -> None:
    snapshot, _ = logged
    assert top_positions(snapshot, probe, "capped", 2, 3).ranked_by == "conv"


def test_the_frozen_graph_is_not_read(
    logged: tuple[Snapshot, Any], probe: Probe, tmp_path: Path
) -> None:
    snapshot, _ = logged
    assert snapshot.frozen is not None
    gone = replace(
        snapshot.frozen, asset=replace(snapshot.frozen.asset, path="plugins/modelcompare/no.pb")
    )
    top = top_positions(replace(snapshot, frozen=gone), probe, "conv", 1, 2)
    assert top.positions[0]["box"] is not None


def test_no_fewer_are_logged_than_a_units_panel_shows() -> None:
    """Were more asked for, the panel would show sampled positions in place of the strongest."""
    panel = Path(__file__).parents[2] / "frontend/src/panels/unit/UnitPanel.svelte"
    (shown,) = re.findall(r"const LIMIT = (\d+);", panel.read_text())
    assert int(shown) <= PER_UNIT

"""What many units are most active on, in one picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import Server, error_of

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.compare.units import unit_statistics

COUNT = 30
UNITS = 12


@pytest.fixture
def plain(tmp_path: Path, serve: Callable[..., Server]) -> tuple[Server, np.ndarray, np.ndarray]:
    """A probe whose images have one colour each, and activations on two positions of each."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (COUNT, 3), dtype=np.uint8)
    pixels = np.broadcast_to(colours[:, None, None], (COUNT, 8, 12, 3)).copy()
    values = rng.standard_normal((2 * COUNT, UNITS)).astype(np.float32)
    values[:, 5] = 1  # ties everywhere
    with SummaryWriter(tmp_path / "run", Probe(pixels, positions_per_image=2)) as writer:
        writer.add_activations("net", {"conv": values})
    return serve(tmp_path), colours, values


def test_each_square_is_the_first_image_of_its_unit(
    plain: tuple[Server, np.ndarray, np.ndarray],
) -> None:
    server, colours, values = plain
    asked = [7, 0, 5, 11, 3, 1, 2, 4, 10]
    ask = {"snapshot": "run/net@0", "layer": "conv"}
    response = server.get("unit_crops", **ask, units=",".join(map(str, asked)), size=16)
    assert (response.status_code, response.mimetype) == (200, "image/jpeg")
    sheet = np.asarray(Image.open(io.BytesIO(response.get_data()))).astype(int)
    assert sheet.shape == (32, 8 * 16, 3)
    for at, unit in enumerate(asked):
        top, left = 16 * (at // 8), 16 * (at % 8)
        middle = sheet[top + 4 : top + 12, left + 4 : left + 12].mean(axis=(0, 1))
        first = server.json("unit", **ask, unit=unit, limit=9)["top"][0]["image"]
        if unit != 5:
            assert first == values[:, unit].argmax() // 2
        np.testing.assert_allclose(middle, colours[first], atol=4)


@pytest.mark.parametrize(
    "units", ["", "12", "-1", "1,,2", "a", "1.0", "\u0661", ",".join(["1"] * 257), "1,2,"]
)
def test_other_units_are_refused(plain: tuple[Server, np.ndarray, np.ndarray], units: str) -> None:
    server, _, _ = plain
    refused = server.get("unit_crops", snapshot="run/net@0", layer="conv", units=units)
    assert error_of(refused)[:2] == (400, "RequestError")


def test_a_single_unit_is_a_single_square_and_many_are_small(
    plain: tuple[Server, np.ndarray, np.ndarray],
) -> None:
    server, _, _ = plain
    ask = {"snapshot": "run/net@0", "layer": "conv"}
    large = server.get("unit_crops", **ask, units="3", size=512)
    assert Image.open(io.BytesIO(large.get_data())).size == (512, 512)
    refused = server.get("unit_crops", **ask, units=",".join(["3"] * 17), size=512)
    assert error_of(refused)[:2] == (400, "RequestError")
    assert server.get("unit_crops", **ask, units=",".join(["3"] * 256), size=128).status_code == 200


def test_a_probe_without_images_has_no_crops(tmp_path: Path, serve: Callable[..., Server]) -> None:
    probe = Probe.from_arrays(np.arange(30).reshape(6, 5))
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net", {"conv": np.ones((6, 2), np.float32)})
    refused = serve(tmp_path).get("unit_crops", snapshot="run/net@0", layer="conv", units="0")
    assert error_of(refused)[:2] == (422, "PhotoError")


def test_selectivity_is_that_of_vinje_and_gallant() -> None:
    rows = 50
    one, even, never = np.zeros(rows), np.ones(rows), -np.ones(rows)
    one[17] = 3
    half = np.where(np.arange(rows) % 2, 2.0, -5.0)
    found = unit_statistics(np.stack([one, even, never, half], axis=1).astype(np.float32))
    assert found.selectivity == pytest.approx([1, 0, 0, 0.5 / (1 - 1 / rows)])
    single = unit_statistics(np.ones((1, 3), np.float32)).selectivity
    assert np.array_equal(single, [0, 0, 0])

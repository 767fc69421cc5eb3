from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tb_modelcompare import Preprocessing, Probe
from tb_modelcompare.capture.resizing import resize
from tb_modelcompare.errors import ActivationError, ProbeError
from tb_modelcompare.probe.preprocessing import unit_range
from tb_modelcompare.probe.sampling import sample, token_grid

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 9, 3), dtype=np.uint8)


def test_rows_belong_to_their_image() -> None:
    probe = Probe(PIXELS, positions_per_image=3)
    assert probe.rows == 12
    assert probe.positions.shape == (12, 2)
    assert probe.positions.min() >= 0
    assert probe.positions.max() < 1


def test_same_arguments_give_the_same_probe() -> None:
    assert (
        Probe(PIXELS, positions_per_image=2, seed=3).id
        == Probe(PIXELS.copy(), positions_per_image=2, seed=3).id
    )


@given(image=st.integers(0, 3), y=st.integers(0, 7), x=st.integers(0, 8), c=st.integers(0, 2))
def test_id_changes_with_any_pixel(image: int, y: int, x: int, c: int) -> None:
    other = PIXELS.copy()
    other[image, y, x, c] ^= 1
    assert Probe(other).id != Probe(PIXELS).id


@given(row=st.integers(0, 3), axis=st.integers(0, 1))
def test_id_changes_with_any_position(row: int, axis: int) -> None:
    positions = np.array(Probe(PIXELS).positions)
    positions[row, axis] = np.nextafter(positions[row, axis], 0)
    assert Probe(PIXELS, positions).id != Probe(PIXELS).id


@given(order=st.permutations(range(4)))
def test_id_changes_with_the_order(order: list[int]) -> None:
    positions = np.full((4, 2), 0.5)
    same = Probe(PIXELS[order], positions).id == Probe(PIXELS, positions).id
    assert same == (order == [0, 1, 2, 3])


def test_id_tells_apart_the_shape_of_the_same_bytes() -> None:
    positions = np.full((4, 2), 0.5)
    assert Probe(PIXELS.reshape(4, 9, 8, 3), positions).id != Probe(PIXELS, positions).id


def test_caller_cannot_change_pixels_under_the_id() -> None:
    pixels = PIXELS.copy()
    probe = Probe(pixels)
    pixels[:] = 0
    assert probe.images.any()
    with pytest.raises(ValueError, match="read-only"):
        probe.images[0] = 0


@pytest.mark.parametrize(
    ("images", "positions", "complaint"),
    [
        (np.zeros((0, 4, 4, 3), np.uint8), None, "shape"),
        (np.zeros((2, 4, 4, 2), np.uint8), None, "shape"),
        (np.zeros((2, 4), np.uint8), None, "shape"),
        (np.zeros((2, 4, 4, 3), np.int64), None, "uint8"),
        (np.full((2, 4, 4, 3), 2.0), None, r"\[0, 1\]"),
        (np.full((2, 4, 4, 3), np.nan), None, r"\[0, 1\]"),
        (PIXELS, np.zeros((3, 2)), r"k \* 4"),
        (PIXELS, np.ones((4, 2)), r"\[0, 1\)"),
        (PIXELS, np.full((4, 2), np.nan), r"\[0, 1\)"),
    ],
)
def test_unusable_probes_are_refused(
    images: np.ndarray, positions: np.ndarray | None, complaint: str
) -> None:
    with pytest.raises(ProbeError, match=complaint):
        Probe(images, positions)


def test_wrong_number_of_names_is_refused() -> None:
    with pytest.raises(ProbeError, match="one per image"):
        Probe(PIXELS, names=["a"])


@given(
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    units=st.integers(1, 4),
    pairs=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True, width=64), st.floats(0, 1, exclude_max=True, width=64)
        ),
        min_size=2,
        max_size=6,
    ),
)
def test_sampling_a_map_is_the_naive_loop(
    h: int, w: int, units: int, pairs: list[tuple[float, float]]
) -> None:
    output = np.random.default_rng(0).random((2, h, w, units)).astype(np.float32)
    positions = np.array([pairs, pairs[::-1]])
    expected = [
        output[image, int(np.floor(u * h)), int(np.floor(v * w))]
        for image in range(2)
        for u, v in positions[image]
    ]
    got = sample(output, positions, "layer")
    assert got.spatial == (h, w)
    np.testing.assert_array_equal(got.values, expected)


def test_vectors_repeat_at_each_position_of_their_image() -> None:
    output = np.arange(6, dtype=np.float32).reshape(2, 3)
    got = sample(output, np.full((2, 2, 2), 0.9), "layer")
    assert got.spatial is None
    np.testing.assert_array_equal(got.values, output[[0, 0, 1, 1]])


@pytest.mark.parametrize(
    ("tokens", "spatial", "index"),
    [(16, (4, 4), 6), (17, (4, 4), 1 + 6), (12, (12, 1), 4), (1, (1, 1), 0), (2, (2, 1), 0)],
)
def test_tokens_are_a_square_map_or_a_sequence(
    tokens: int, spatial: tuple[int, int], index: int
) -> None:
    output = np.arange(tokens, dtype=np.float32).reshape(1, tokens, 1)
    got = sample(output, np.array([[[0.4, 0.6]]]), "layer")
    assert got.spatial == spatial
    assert got.values.item() == index


def test_probe_samples_outputs_of_any_framework() -> None:
    probe = Probe(PIXELS, positions_per_image=3)
    rows = probe.sample(PIXELS)
    assert rows.shape == (12, 3)
    u, v = probe.positions[7]
    np.testing.assert_array_equal(rows[7], PIXELS[2, int(u * 8), int(v * 9)])
    np.testing.assert_array_equal(probe.sample(np.arange(4.0))[:, 0], np.repeat(np.arange(4.0), 3))
    for output in (PIXELS[:3], np.float32(1), np.zeros((4, 2, 2, 2, 2)), np.array(["x"] * 4)):
        with pytest.raises(ActivationError):
            probe.sample(output)


def test_volumes_and_unknown_sizes_have_no_placement() -> None:
    assert token_grid((2, 2, 2, 2)) is None
    assert token_grid((None, 4, 3)) is None


def test_resizing_keeps_constants_and_the_mean() -> None:
    images = np.random.default_rng(0).random((2, 12, 20, 3)).astype(np.float32)
    np.testing.assert_allclose(resize(np.ones_like(images), 5, 31), 1, atol=1e-6)
    half = resize(images, 6, 10)
    assert half.shape == (2, 6, 10, 3)
    np.testing.assert_allclose(half.mean(), images.mean(), atol=0.01)
    assert resize(images, 12, 20) is images


def test_preprocessing_matches_keras_applications() -> None:
    import keras

    rgb = PIXELS.astype(np.float32)
    for mode in ("tf", "torch", "caffe"):
        expected = keras.applications.imagenet_utils.preprocess_input(rgb.copy(), mode=mode)
        got = getattr(Preprocessing, mode)().for_channels(3).apply(rgb / 255)
        np.testing.assert_allclose(got, expected, atol=1e-4)
    np.testing.assert_allclose(Preprocessing.range(0, 255).apply(rgb / 255), rgb, atol=1e-4)


@given(
    low=st.floats(-300, 300, allow_nan=False),
    high=st.floats(301, 900, allow_nan=False),
    bgr=st.booleans(),
)
def test_preprocessing_json_round_trip(low: float, high: float, bgr: bool) -> None:
    value = Preprocessing((high - low,), (low, low, low), bgr)
    assert Preprocessing.from_json(value.to_json()) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"scale": [1], "offset": ["x"], "bgr": False},
        {"scale": 1, "offset": 0, "bgr": 0},
        {"scale": [0.0], "offset": [0.0], "bgr": False},
        {"scale": [1, 1], "offset": [0], "bgr": True},
    ],
)
def test_malformed_preprocessing_is_refused(value: object) -> None:
    with pytest.raises(ProbeError):
        Preprocessing.from_json(value)


def test_colour_preprocessing_is_refused_for_grey_models() -> None:
    with pytest.raises(ProbeError, match="3 channels"):
        Preprocessing.caffe().for_channels(1)


def test_channels_are_converted() -> None:
    grey = unit_range(PIXELS, 1)
    expected = PIXELS.astype(float) @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(grey[..., 0], expected, atol=1e-6)
    np.testing.assert_array_equal(unit_range(grey, 3)[..., 2], grey[..., 0])


def test_directory_of_photos(tmp_path: Path) -> None:
    for i, folder in enumerate(["x", "x", "y", "y"]):
        (tmp_path / folder).mkdir(exist_ok=True)
        shade = Image.new("L" if i == 3 else "RGB", (40 + i, 30), 60 * i)
        shade.save(tmp_path / folder / f"{i}.png")
    probe = Probe.from_directory(tmp_path, size=(16, 24), positions_per_image=2)
    assert probe.names == ("x/0.png", "x/1.png", "y/2.png", "y/3.png")
    assert probe.images.shape == (4, 16, 24, 3)
    assert probe.images[3].min() == probe.images[3].max() == 180
    spread = Probe.from_directory(tmp_path, size=16, limit=2)
    assert spread.names == ("x/0.png", "y/2.png")


def test_directories_without_usable_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="no directory"):
        Probe.from_directory(tmp_path / "absent")
    with pytest.raises(ProbeError, match="no image"):
        Probe.from_directory(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"not a photo")
    with pytest.raises(ProbeError, match=r"broken\.jpg"):
        Probe.from_directory(tmp_path)

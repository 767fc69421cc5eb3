"""Directions of classes, by the labels of a probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import ActivationError, ProbeError
from tb_modelcompare.log.direction import parsed_direction
from tb_modelcompare.log.reader import Snapshot, open_snapshot

IMAGES, UNITS = 60, 5
LABELS = np.array(["cat", "dog", "eel"])[np.arange(IMAGES) % 3]
COUNTS = 1 + np.arange(IMAGES) % 4
IMAGE_OF_ROW = np.repeat(np.arange(IMAGES), COUNTS)


def logged(tmp_path: Path, labels: object = LABELS) -> tuple[Snapshot, np.ndarray]:
    """Images with different numbers of rows, in which cats are strong along units 1 and 2."""
    rng = np.random.default_rng(0)
    pixels = np.arange(IMAGES, dtype=np.uint8).repeat(16).reshape(IMAGES, 4, 4, 1)
    uv = rng.random((len(IMAGE_OF_ROW), 2))
    probe = Probe(pixels, uv, image_of_row=IMAGE_OF_ROW, labels=labels)
    shared = rng.standard_normal((len(uv), 1)) * np.array([5, 5, 0, 0, 0])
    rows = shared + 0.3 * rng.standard_normal((len(uv), UNITS))
    rows[LABELS[IMAGE_OF_ROW] == "cat", 1:3] += 1
    rows = rows.astype(np.float32)
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_activations("net", {"block:1": rows, "still": np.ones((len(uv), 2))})
    return open_snapshot(tmp_path, "."), rows


def means(rows: np.ndarray) -> np.ndarray:
    return np.stack([rows[image == IMAGE_OF_ROW].mean(axis=0) for image in range(IMAGES)])


def test_it_is_the_difference_of_the_means_of_images(tmp_path: Path) -> None:
    snapshot, rows = logged(tmp_path)
    direction = snapshot.layer("block:1").direction(class_="cat")
    of_images, ours = means(rows), LABELS == "cat"
    expected = of_images[ours].mean(axis=0) - of_images[~ours].mean(axis=0)
    np.testing.assert_allclose(direction.weights, expected, rtol=1e-5)
    assert direction.name == "block:1:class=cat"
    again = parsed_direction("block:1:class=cat", snapshot)
    assert (again.weights == direction.weights).all()
    number = snapshot.layer("block:1").direction(0)
    assert (number.weights == direction.weights).all()


def test_whitened_it_tells_the_class_best(tmp_path: Path) -> None:
    snapshot, rows = logged(tmp_path)
    plain = snapshot.layer("block:1").direction("cat")
    best = parsed_direction("block:1:whitened-class=cat", snapshot)
    of_images, ours = means(rows), LABELS == "cat"

    def separation(weights: np.ndarray) -> float:
        along = of_images @ weights
        spread = np.sqrt((along[ours].var() + along[~ours].var()) / 2)
        return float((along[ours].mean() - along[~ours].mean()) / spread)

    others = np.random.default_rng(1).standard_normal((200, UNITS))
    assert separation(best.weights) > max(map(separation, others))
    assert separation(best.weights) > 1.2 * separation(plain.weights)


@pytest.mark.parametrize(
    ("layer", "class_", "complaint"),
    [
        ("block:1", "cow", "no class is called 'cow'; there are cat, dog, eel"),
        ("block:1", 3, "no image is of class 3"),
        ("block:1", 1.5, "name or number"),
        ("still", "cat", "weights are all 0"),
    ],
)
@pytest.mark.parametrize("whitened", [False, True])
def test_classes_that_there_are_not(
    tmp_path: Path, layer: str, class_: object, complaint: str, whitened: bool
) -> None:
    snapshot, _ = logged(tmp_path)
    with pytest.raises((ProbeError, ActivationError), match=complaint):
        snapshot.layer(layer).direction(class_, whitened)  # type: ignore[arg-type]


def test_probes_that_tell_no_class_apart(tmp_path: Path) -> None:
    without, _ = logged(tmp_path / "without", None)
    with pytest.raises(ProbeError, match="--labels"):
        parsed_direction("block:1:class=cat", without)
    one, _ = logged(tmp_path / "one", ["cat"] * IMAGES)
    with pytest.raises(ProbeError, match="needs others"):
        one.layer("block:1").direction("cat")
    numbered, _ = logged(tmp_path / "numbered", np.arange(IMAGES) % 3)
    assert parsed_direction("block:1:class=2", numbered).name == "block:1:class=2"

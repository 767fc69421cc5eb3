"""Warnings of models that were not shown what they want, and accuracies where labels are known."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.errors import ImplausibleOutputsWarning

CLASSES, IMAGES = 12, 36
LABELS = np.arange(IMAGES) % CLASSES


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """Each has a bright column at the number of its class."""
    images = np.random.default_rng(0).integers(0, 40, (IMAGES, 4, CLASSES, 3), dtype=np.uint8)
    images[np.arange(IMAGES), :, LABELS] = 255
    return images


def classifier(contrast: float, softmax: bool = True) -> Any:
    """Which column is the brightest: it wants pixels from -1 to 1."""
    import keras

    image = keras.Input((4, CLASSES, 3))
    columns = keras.layers.Reshape((4 * CLASSES * 3,))(image)
    hidden = keras.layers.Dense(CLASSES, activation="relu6", name="hidden")(columns)
    answers = keras.layers.Dense(CLASSES, name="logits")(hidden)
    if softmax:
        answers = keras.layers.Softmax(name="answers")(answers)
    model = keras.Model(image, answers)
    weights = np.kron(np.ones((4, 1)), np.kron(np.eye(CLASSES), np.ones((3, 1)))) / 4
    model.get_layer("hidden").set_weights([weights, np.zeros(CLASSES)])
    model.get_layer("logits").set_weights([contrast * np.eye(CLASSES), np.zeros(CLASSES)])
    return model


def said(tmp_path: Path, probe: Probe, model: Any, preprocessing: Preprocessing) -> str:
    with warnings.catch_warnings(record=True) as caught, SummaryWriter(tmp_path, probe) as writer:
        warnings.simplefilter("always")
        writer.add_model("net", model, preprocessing=preprocessing, frozen=False, batch_size=7)
    found = [one for one in caught if one.category is ImplausibleOutputsWarning]
    assert all(one.filename == __file__ for one in found)
    return " ".join(str(one.message) for one in found)


def test_nothing_is_said_of_what_looks_right(
    tmp_path: Path, photos: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = Probe(photos, labels=LABELS, positions_per_image=2)
    assert said(tmp_path, probe, classifier(5), Preprocessing.tf()) == ""
    assert "net: top-1 100.0%" in capsys.readouterr().err


def test_labels_of_classes_that_the_model_lacks_are_told(
    tmp_path: Path, photos: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    said(tmp_path, Probe(photos, labels=LABELS + 1), classifier(5), Preprocessing.tf())
    assert "net: no top-1: a label is class 12, and the model has the classes 0 to 11" in (
        capsys.readouterr().err
    )


def test_flat_answers(tmp_path: Path, photos: np.ndarray) -> None:
    message = said(tmp_path, Probe(photos), classifier(1e-3), Preprocessing.tf())
    assert "flat" in message
    assert "12 equal classes" in message
    assert "of a pixel, 0 becomes -1 and 255 becomes 1" in message


def test_saturated_activations(tmp_path: Path, photos: np.ndarray) -> None:
    message = said(tmp_path, Probe(photos), classifier(5), Preprocessing.range(0, 255))
    assert "at the largest (100% in hidden" in message
    assert "constant (100% in hidden" in message


def test_names_as_chance_does(tmp_path: Path, photos: np.ndarray) -> None:
    wrong = np.random.default_rng(1).integers(0, CLASSES, IMAGES)
    message = said(tmp_path, Probe(photos, labels=wrong), classifier(5), Preprocessing.tf())
    assert "of 36 images rightly, as chance does" in message


def test_features_are_no_answers(tmp_path: Path, photos: np.ndarray) -> None:
    """Of a linear layer without labels nothing says that its units are classes."""
    model = classifier(1e-3, softmax=False)
    assert said(tmp_path, Probe(photos), model, Preprocessing.tf()) == ""
    labelled = Probe(photos, labels=LABELS)
    assert "flat" in said(tmp_path, labelled, model, Preprocessing.tf())


def test_a_few_images_say_nothing(tmp_path: Path, photos: np.ndarray) -> None:
    assert said(tmp_path, Probe(photos[:10]), classifier(1e-3), Preprocessing.tf()) == ""

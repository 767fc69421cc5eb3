"""`log` of token ids, and of photos with labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Run
from PIL import Image

from tb_modelcompare.log.reader import open_snapshot

TOKENS = np.array([[1, 2, 3, 0], [4, 0, 0, 0], [5, 6, 7, 8]])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,), dtype="int64"), keras.layers.Embedding(9, 3, name="embedding")]
    file = tmp_path_factory.mktemp("model") / "encoder.keras"
    keras.Sequential(layers).save(file)
    return file


def test_padding_of_token_ids_has_no_rows(inside: Run, encoder: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.npy"
    np.save(ids, np.asfortranarray(TOKENS))
    options = ("--probe", ids, "--logdir", tmp_path / "run", "--positions", "all", "--pad-id", 0)
    done = inside("log", encoder, *options)
    assert done.returncode == 0, done.stderr
    assert "3 arrays, 8 rows" in done.stderr
    snapshot = open_snapshot(tmp_path, "run")
    assert snapshot.image_of_row().tolist() == [0, 0, 0, 1, 2, 2, 2, 2]
    for complaint, more in {
        "leave out --size": ("--size", 64),
        "for photos": ("--preprocessing", "tf"),
    }.items():
        done = inside("log", encoder, *options, *more)
        assert done.returncode == 2
        assert complaint in done.stderr


def test_options_of_arrays_are_not_for_photos(inside: Run, encoder: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    for option in (("--pad-id", 0), ("--positions", "all")):
        done = inside("log", encoder, "--probe", tmp_path, "--logdir", tmp_path / "run", *option)
        assert done.returncode == 2
        assert option[0] in done.stderr


def test_folders_are_classes(inside: Run, tmp_path: Path) -> None:
    import keras

    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image)))
    model.save(tmp_path / "net.keras")
    for name in ("dog/1", "cat/1", "dog/2"):
        file = tmp_path / "photos" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9, 3), len(name), np.uint8)).save(file)
    (tmp_path / "names.txt").write_text("eel\ncat\ndog\n")
    options = ("--probe", tmp_path / "photos", "--size", 8, "--labels", "folders")
    log = ("log", tmp_path / "net.keras", *options, "--logdir", tmp_path / "run")
    done = inside(*log, "--class-names", tmp_path / "names.txt")
    assert done.returncode == 0, done.stderr
    assert "3 photos, 12 rows, with labels" in done.stderr
    labels = open_snapshot(tmp_path, "run").labels()
    assert labels is not None
    assert labels.names == ("eel", "cat", "dog")
    assert labels.classes.tolist() == [1, 2, 2]

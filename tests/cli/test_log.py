"""`log`: model files become snapshots that can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import Run
from PIL import Image

from tb_modelcompare.log.reader import open_snapshot


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Input((32, 32, 3)),
        keras.layers.Conv2D(8, 3, activation="relu", name="conv_a"),
        keras.layers.Conv2D(12, 3, activation="relu", name="conv_b"),
        keras.layers.GlobalAveragePooling2D(name="pooled"),
        keras.layers.Dense(5, name="logits"),
    ]
    file = tmp_path_factory.mktemp("model") / "small.keras"
    keras.Sequential(layers).save(file)
    return file


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from skimage import data

    directory = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()).save(directory / f"{name}.png")
    return directory


def test_the_same_options_give_snapshots_that_can_be_compared(
    command: Run, inside: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    options = (model, "--probe", photos, "--size", 48, "--positions", 3)
    run = tmp_path / "one"
    more = ("--step", 7, "--preprocessing", "tf", "--layers", "conv|logits")
    done = command("log", *options, "--logdir", run, *more)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"small@7 in {run}: 3 layers, 25 units, 9 rows, with pictures")
    snapshot = open_snapshot(tmp_path, "one/small@7")
    assert snapshot.layer_names == ("conv_a", "conv_b", "logits")
    assert snapshot.probe().names == ("astronaut.png", "chelsea.png", "coffee.png")
    assert snapshot.preprocessing is not None
    probe = snapshot.probe().images / np.float32(255)
    np.testing.assert_allclose(snapshot.preprocessing.apply(probe), probe * 2 - 1, atol=1e-6)

    again = (model, "--probe", run, "--logdir", tmp_path / "two", "--name", "again")
    assert inside("log", *again, "--positions", 3).returncode == 2
    done = inside("log", *again, "--dtype", "float16")
    assert done.returncode == 0, done.stderr
    assert f"of {run}: 3 photos, 9 rows" in done.stderr
    assert "4 layers, 37 units, 9 rows: 0.000666 MB, and at most" in done.stderr
    assert "RGB in [0, 1]" in done.stderr  # no preprocessing was given, so it is said
    other = open_snapshot(tmp_path, "two/again@0")
    assert {layer.dtype for layer in other.layers} == {"float16"}
    # The same weights at the same positions, but of pixels in another range.
    difference = other.activations("conv_a") - snapshot.activations("conv_a")
    assert np.abs(difference).max() > 0.01
    assert inside("similarity", tmp_path, "one", "two").returncode == 0

    assert "already" not in done.stderr
    done = inside("log", *again, "--layers", "logits")
    assert f"again@0 is in {tmp_path / 'two'} already: the new one takes its place" in done.stderr
    assert open_snapshot(tmp_path, "two/again@0").layer_names == ("logits",)


def test_maps_are_reduced_as_asked(inside: Run, model: Path, photos: Path, tmp_path: Path) -> None:
    options = ("--probe", photos, "--size", 48, "--positions", 2, "--layers", "conv_a")
    for how in ("sample", "mean"):
        done = inside("log", model, *options, "--logdir", tmp_path / how, "--reduction", how)
        assert done.returncode == 0, done.stderr
    at_places, means = (
        open_snapshot(tmp_path, how).activations("conv_a").reshape(3, 2, -1)
        for how in ("sample", "mean")
    )
    np.testing.assert_array_equal(means[:, 0], means[:, 1])  # every place stands for its photo
    assert np.abs(at_places[:, 0] - at_places[:, 1]).max() > 0.01
    assert (
        inside("log", model, "--logdir", tmp_path, *options, "--reduction", "max").returncode == 2
    )


def test_a_filter_that_matches_nothing(
    inside: Run, model: Path, photos: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = inside("log", model, "--probe", photos, "--logdir", run, "--layers", "mixed")
    assert done.returncode == 2
    message = done.stderr.splitlines()[-1]
    assert "'mixed' matches no layer" in message
    assert "conv_a" in message
    assert not list(run.glob("*tfevents*"))


def test_a_real_model(inside: Run, shared_dir: Path, tmp_path: Path) -> None:
    model = shared_dir / "models" / "alexnet_torchvision_conv.keras"
    photos = shared_dir / "images" / "open_224"
    options = ("--limit", 5, "--positions", 2, "--size", 300, "--preprocessing", "torch")
    run = tmp_path / "run"
    done = inside("log", model, "--probe", photos, "--logdir", run, *options, "--layers", "conv")
    assert done.returncode == 0, done.stderr
    assert open_snapshot(tmp_path, "run").rows == 10

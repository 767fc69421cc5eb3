"""`compare`: from two model files and a directory of photos to the tab, in one command."""

from __future__ import annotations

import contextlib
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run
from PIL import Image

from tb_modelcompare import behaviour, list_snapshots, open_snapshot

OPTIONS = ("--size", 32, "--positions", 2, "--layers", "conv|classes")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models in files of one name."""
    import keras

    files = []
    for folder, width in (("before", 4), ("after", 6)):
        keras.utils.set_random_seed(width)
        layers = [
            keras.layers.Input((32, 32, 3)),
            keras.layers.Conv2D(width, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="pooled"),
            keras.layers.Dense(5, name="classes"),
        ]
        files.append(tmp_path_factory.mktemp("models") / folder / "net.keras")
        files[-1].parent.mkdir()
        keras.Sequential(layers).save(files[-1])
    return files[0], files[1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("photos")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 40, 40, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(directory / f"{number}.png")
    return directory


def test_both_models_are_logged_on_one_probe(
    inside: Run, models: tuple[Path, Path], photos: Path, tmp_path: Path
) -> None:
    how = ("--preprocessing", "(x-127)/128", "--preprocessing=-1,1")
    done = inside(
        "compare", *models, "--probe", photos, "--logdir", tmp_path / "logs", *OPTIONS, *how,
        "--no-serve",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0 becomes -0.9922 and 255 becomes 1" in done.stderr
    assert "0 becomes -1 and 255 becomes 1" in done.stderr
    assert done.stdout.splitlines()[-1] == f"tensorboard --logdir {tmp_path / 'logs'}"
    before, after = (open_snapshot(tmp_path / "logs", run) for run in ("before-net", "after-net"))
    assert before.probe_id == after.probe_id
    assert before.layer_names == after.layer_names == ("conv", "classes")
    done = inside("similarity", tmp_path / "logs", "before-net", "after-net")
    assert done.returncode == 0, done.stderr


def test_labels_give_accuracies_and_how_alike_the_answers_are(
    inside: Run, models: tuple[Path, Path], photos: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"{number}.png,{number % 5}\n" for number in range(12)))
    log = (*models, "--probe", photos, *OPTIONS, "--no-serve")
    done = inside("compare", *log, "--logdir", tmp_path / "logs", "--labels", table)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("top-1") == 2
    found = behaviour(f"{tmp_path}/logs:before-net", f"{tmp_path}/logs:after-net")
    assert found.top_1 is not None
    assert str(found) in done.stdout.splitlines()
    for labels, complaint in (("folders", "is in no folder"), (photos / "0.png", "as text")):
        done = inside("compare", *log, "--logdir", tmp_path / "other", "--labels", labels)
        assert done.returncode == 2
        assert complaint in done.stderr
    table.write_text("0.png,1\n")
    done = inside("compare", *log, "--logdir", tmp_path / "other", "--labels", table)
    assert done.returncode == 2
    assert "no line for 1.png" in done.stderr


def test_nothing_that_is_there_is_logged_over(
    inside: Run, models: tuple[Path, Path], photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "after-net").mkdir()
    (tmp_path / "after-net" / "thesis.txt").write_text("precious")
    done = inside("compare", *models, "--probe", photos, "--logdir", tmp_path, "--no-serve")
    assert done.returncode == 2
    assert "is there already; give another --logdir" in done.stderr
    assert [file.name for file in tmp_path.rglob("*")] == ["after-net", "thesis.txt"]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--preprocessing", "tf") * 3, "once for both models, or twice"),
        (("--preprocessing", "tf", "--preprocessing", "imagenet"), "imagenet"),
        (("--preprocessing", "tf", "--std", "1"), "either --preprocessing, or --mean"),
        (("--layers", "("), "malformed"),
        (("--port", "0", "--no-serve"), "not allowed with"),
    ],
)
def test_flags_are_checked_before_anything_is_made(
    inside: Run, models: tuple[Path, Path], tmp_path: Path, flags: tuple[str, ...], named: str
) -> None:
    done = inside("compare", *models, "--probe", "/nowhere", "--logdir", tmp_path / "logs", *flags)
    assert done.returncode == 2
    assert named in done.stderr
    assert not (tmp_path / "logs").exists()


def test_a_model_that_is_not_there(inside: Run, models: tuple[Path, Path], photos: Path) -> None:
    done = inside("compare", models[0], "gone.keras", "--probe", photos)
    assert done.returncode == 2
    assert "gone.keras does not exist" in done.stderr


def test_tensorboard_shows_the_pair(
    inside: Run, models: tuple[Path, Path], photos: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The demo's tests start a real one in this way."""
    started: list[tuple[str, int]] = []

    @contextlib.contextmanager
    def tensorboard(logdir: str, port: int) -> Iterator[tuple[str, Any]]:
        started.append((logdir, port))
        yield "http://localhost:1/", subprocess.Popen(["true"])

    monkeypatch.setattr("tb_modelcompare.cli.serve.tensorboard", tensorboard)
    logs = tmp_path / "logs"
    what = (*models, "--probe", photos, "--logdir", logs, *OPTIONS)
    done = inside("compare", *what, "--port", 0, "--no-browser")
    assert started == [(str(logs), 0)]
    (address,) = (line.split()[-1] for line in done.stdout.splitlines() if "http" in line)
    base, _, fragment = address.partition("#")
    assert base == "http://localhost:1/"
    state = urllib.parse.parse_qs(fragment.partition("&")[2])
    there = [snapshot.id for snapshot in list_snapshots(logs).snapshots]
    assert sorted([*state["a"], *state["b"]]) == sorted(there)
    assert done.returncode == 2  # TensorBoard, which should run until Ctrl-C, has ended
    assert "TensorBoard ended" in done.stderr

"""Bad input ends with status 2 and one line that names what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Run


def fails(command: Run, *arguments: object, naming: tuple[str, ...], **variables: str) -> None:
    done = command(*arguments, **variables)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("tb-modelcompare: ")
    for text in naming:
        assert text in line


def test_unknown_snapshot(inside: Run, logdir: Path, tmp_path: Path) -> None:
    naming = ("no snapshot 'three'", "/net@0")
    fails(inside, "similarity", logdir, "one@0", "three", naming=naming)
    naming = ("no snapshot 'tow'", "nearest: two/net@0")
    fails(inside, "similarity", logdir, "one@0", "tow", naming=naming)
    more = ("--csv", tmp_path / "x.csv", "--untrained", "three")
    fails(inside, "similarity", logdir, "one@0", "two", *more, naming=("no snapshot 'three'",))
    assert not (tmp_path / "x.csv").exists()


def test_no_such_directory(inside: Run, tmp_path: Path) -> None:
    fails(inside, "list", tmp_path / "absent", naming=("absent", "no directory"))


def test_empty_directory(inside: Run, tmp_path: Path) -> None:
    fails(inside, "list", tmp_path, naming=(str(tmp_path), "no snapshot", "log"))


def test_snapshots_of_two_probes(command: Run, logdir: Path) -> None:
    naming = ("one/net@0", "other/net@0", "120 rows", "60 rows")
    fails(command, "similarity", logdir, "one@0", "other", naming=naming)


def test_unknown_measure(inside: Run, logdir: Path) -> None:
    naming = ("'cosine'", "linear_cka")
    fails(inside, "similarity", logdir, "one@0", "two", "--measure", "cosine", naming=naming)


@pytest.fixture
def no_cache(tmp_path: Path) -> dict[str, str]:
    """An empty cache: values that were computed before the damage would be found in another."""
    return {"TB_MODELCOMPARE_CACHE": str(tmp_path / "cache")}


def test_missing_asset(inside: Run, own_logdir: Path, no_cache: dict[str, str]) -> None:
    gone = max(own_logdir.glob("two/plugins/modelcompare/arrays/*.bin"))
    gone.unlink()
    fails(inside, "similarity", own_logdir, "one@0", "two", naming=(".bin",), **no_cache)


def test_altered_asset(inside: Run, own_logdir: Path, no_cache: dict[str, str]) -> None:
    altered = max(own_logdir.glob("two/plugins/modelcompare/arrays/*.bin"))
    content = bytearray(altered.read_bytes())
    content[-1] ^= 1
    altered.write_bytes(content)
    fails(inside, "similarity", own_logdir, "one@0", "two", naming=(".bin",), **no_cache)


def test_truncated_index(inside: Run, own_logdir: Path) -> None:
    (events,) = own_logdir.glob("two/*tfevents*")
    content = events.read_bytes()
    events.write_bytes(content[: len(content) // 3])
    done = inside("list", own_logdir)
    assert done.returncode == 2
    assert events.name in done.stderr
    assert "one/net@5" in done.stdout  # the rest is still listed
    assert "two/net" not in done.stdout
    fails(inside, "similarity", own_logdir, "one@0", "two", naming=("'two'", events.name))


def test_a_file_that_cannot_be_written(inside: Run, logdir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "matrix.csv"
    fails(inside, "similarity", logdir, "one@0", "two", "--csv", target, naming=("file",))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    from skimage import data, io

    (tmp_path / "photos").mkdir()
    io.imsave(tmp_path / "photos" / "cat.png", data.chelsea())
    return tmp_path / "photos"


def test_missing_probe_directory(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    arguments = (tmp_path / "model.keras", "--probe", tmp_path / "absent", "--logdir", tmp_path)
    fails(inside, "log", *arguments, naming=(str(tmp_path / "absent"),))


def test_probe_directory_without_photos(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    arguments = (tmp_path / "model.keras", "--probe", tmp_path, "--logdir", tmp_path)
    fails(inside, "log", *arguments, naming=("no image", str(tmp_path)))


def test_photos_that_are_none_are_named_together(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    for number in range(7):
        (tmp_path / f"{number} of my photos.jpg").write_bytes(b"\xff\xd8\xff")
    arguments = (tmp_path / "model.keras", "--probe", tmp_path, "--logdir", tmp_path / "run")
    naming = ("0 of my photos.jpg", "4 of my photos.jpg", "and 2 more", "remove it")
    fails(inside, "log", *arguments, naming=naming)


def test_missing_model(inside: Run, tmp_path: Path, photos: Path) -> None:
    arguments = (tmp_path / "model.keras", "--probe", photos, "--logdir", tmp_path / "run")
    naming = ("model.keras", "does not exist", "keras:ResNet50")
    fails(inside, "log", *arguments, naming=naming)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("module.pt", ("PyTorch", "SummaryWriter.add_model", ".onnx")),
        ("weights.safetensors", ("PyTorch", "SummaryWriter.add_model", ".onnx")),
        ("notes.txt", ("no model file", ".keras", ".onnx", "SavedModel")),
    ],
)
def test_a_file_that_is_never_opened_is_refused_before_photos_are_read(
    inside: Run, tmp_path: Path, name: str, advice: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text("no model")
    arguments = (tmp_path / name, "--probe", tmp_path / "absent", "--logdir", tmp_path / "run")
    fails(inside, "log", *arguments, naming=(name, *advice))


@pytest.mark.parametrize("name", ["model.keras", "model.pb"])
def test_a_model_file_that_is_none(inside: Run, tmp_path: Path, photos: Path, name: str) -> None:
    (tmp_path / name).write_text("not a model")
    done = inside("log", tmp_path / name, "--probe", photos, "--logdir", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert name in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").glob("*tfevents*"))


def test_wrong_preprocessing(command: Run, tmp_path: Path, photos: Path) -> None:
    (tmp_path / "model.keras").touch()
    arguments = (tmp_path / "model.keras", "--probe", photos, "--logdir", tmp_path / "run")
    naming = ("'imagenet'", "caffe")
    fails(command, "log", *arguments, "--preprocessing", "imagenet", naming=naming)

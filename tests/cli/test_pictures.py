"""`analogies` and `caricature`: pictures on disk, with the numbers that belong to them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from command_line import Run
from PIL import Image
from skimage import data

from tb_modelcompare.analogy import direction_correlation
from tb_modelcompare.analogy.prediction import best_unit, prediction_r2
from tb_modelcompare.compare.best_photos import about_ties
from tb_modelcompare.compare.units import TopPositions
from tb_modelcompare.log.reader import open_snapshot

QUICK = ("--size", 32, "--steps", 8)


def pictures(out: Path) -> dict[str, np.ndarray]:
    return {file.name: np.asarray(Image.open(file)) for file in sorted(out.glob("0*.png"))}


BLOCKS = (
    *("seed0", "mixed4a:5", "mobile", "--layers", "^block[24]$"),
    *("--direction", "pattern", *QUICK),
)


def test_analogies(command: Run, demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command("analogies", demo, *BLOCKS, "--out", out)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((out / "pictures.csv").open()))
    assert [(row["role"], row["layer"]) for row in rows] == [
        ("source", "mixed4a"),
        ("analogy", "block2"),
        ("analogy", "block4"),
    ]

    assert "STRONGER THAN" in done.stdout
    shares = [float(row["stronger_than"]) for row in rows]
    assert all(f"{share:.0%}" in done.stdout for share in shares)

    a, b = open_snapshot(demo, "seed0@1"), open_snapshot(demo, "mobile")
    response = np.asarray(a.activations("mixed4a")[:, 5], np.float64)
    images = np.arange(a.rows) // a.probe_record.positions_per_image
    for row in rows[1:]:
        target = b.activations(row["layer"])
        expected = prediction_r2(target, response, groups=images)[0]
        np.testing.assert_allclose(float(row["r2"]), expected, rtol=1e-9)
        unit, correlation = best_unit(target, response)
        assert int(row["best_unit"]) == unit
        np.testing.assert_allclose(float(row["correlation"]), correlation, rtol=1e-9)
        assert f"{expected:.2f}" in done.stdout
        unit_of = np.eye(a.activations("mixed4a").shape[1])[5]
        along = direction_correlation(
            a.activations("mixed4a"), target, unit_of, direction="pattern", groups=images
        )
        assert along.null is not None
        assert row["direction"] == "pattern"
        for field, number in (
            ("direction_correlation", along.value),
            ("low", along.low),
            ("high", along.high),
            ("null", along.null),
        ):
            np.testing.assert_allclose(float(row[field]), number, rtol=1e-6)
        shown = (f"{along.value:.2f}", f"[{along.low:.2f}, {along.high:.2f}]", f"{along.null:.2f}")
        (line,) = (one for one in done.stdout.splitlines() if f"mobile  {row['layer']} " in one)
        assert all(number in line for number in shown)
    assert "The pattern is what varies together with the unit" in done.stdout

    found = pictures(out)
    assert list(found) == [row["file"] for row in rows]
    assert {picture.shape for picture in found.values()} == {(32, 32, 3)}
    assert min(picture.std() for picture in found.values()) > 5  # of 255: not flat
    sheet = Image.open(out / "contact_sheet.png")
    assert sheet.width > 64
    assert str(out / "contact_sheet.png") in done.stdout
    page = (out / "sheet.html").read_text()
    assert page.count("<img") == 4 + 3  # images of the unit, then the pictures


def test_several_snapshots_and_what_only_one_has(inside: Run, demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    each = ("--layers", "^block4$", "--layers", "^mixed4a$")
    arguments = ("seed0", "mixed4a:5", "mobile", "seed1", *each)
    done = inside("analogies", demo, *arguments, "--less", "seed1", "mixed4a", "--out", out, *QUICK)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((out / "pictures.csv").open()))
    assert [(row["role"], row["snapshot"].split("/")[0], row["layer"]) for row in rows] == [
        ("difference", "seed0", "mixed4a"),
        ("analogy", "mobile", "block4"),
        ("analogy", "seed1", "mixed4a"),
    ]
    assert "taken away" in done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:4]] == [
        ["MODEL", "LAYER"],
        ["seed0", "mixed4a"],
        ["mobile", "block4"],
        ["seed1", "mixed4a"],
    ]
    assert len(pictures(out)) == 3
    # Four photos of the probe stand before the three pictures.
    assert Image.open(out / "contact_sheet.png").height > 3 * 32


def test_caricatures_of_a_file_and_of_a_photo_of_the_probe(
    inside: Run, demo: Path, tmp_path: Path
) -> None:
    Image.fromarray(data.chelsea()).save(tmp_path / "cat.jpg")
    layers = ("--layers", "^(conv1|mixed3a)$")
    for image, out in ((tmp_path / "cat.jpg", tmp_path / "a"), ("coffee-2", tmp_path / "b")):
        done = inside("caricature", demo, "seed0", image, *layers, "--out", out, *QUICK)
        assert done.returncode == 0, done.stderr
        assert list(pictures(out)) == ["000-conv1.png", "001-mixed3a.png"]
    for name, picture in pictures(tmp_path / "a").items():
        assert picture.std() > 5
        assert not np.array_equal(picture, pictures(tmp_path / "b")[name])


def test_a_new_directory_each_time(inside: Run, demo: Path) -> None:
    sheets = []
    for _ in range(2):
        done = inside("analogies", demo, *BLOCKS)
        assert done.returncode == 0, done.stderr
        sheets.append(done.stdout.splitlines()[-1])
    assert sheets == [
        "analogies-mixed4a-5/contact_sheet.png",
        "analogies-mixed4a-5-2/contact_sheet.png",
    ]


@pytest.fixture(scope="module")
def half_dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network one of whose branches never answers."""
    import keras

    from tb_modelcompare import Probe, SummaryWriter

    keras.utils.set_random_seed(0)
    image = keras.layers.Input((32, 32, 3))
    alive = keras.layers.Conv2D(6, 3, activation="relu", name="alive")(image)
    never = keras.initializers.Constant(-1000.0)
    constant = keras.layers.Conv2D(
        4, 3, activation="relu", bias_initializer=never, name="constant"
    )(image)
    root = tmp_path_factory.mktemp("half_dead")
    images = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    with SummaryWriter(root / "run", Probe(images)) as writer:
        writer.add_model("net", keras.Model(image, [alive, constant]), layers=["alive", "constant"])
    return root


def test_a_layer_without_a_direction_says_so(inside: Run, half_dead: Path, tmp_path: Path) -> None:
    done = inside("analogies", half_dead, "run", "alive:2", "run", "--out", tmp_path, *QUICK)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "pictures.csv").open()))
    assert [row["layer"] for row in rows] == ["alive", "alive", "constant"]
    assert [bool(row["file"]) for row in rows] == [True, True, False]
    assert "0 on the whole probe" in rows[2]["problem"]
    assert rows[2]["problem"] in done.stdout
    assert float(rows[1]["r2"]) > 0.99
    assert (int(rows[1]["best_unit"]), round(float(rows[1]["correlation"]), 6)) == (2, 1.0)


def test_bad_requests(inside: Run, demo: Path, logdir: Path, tmp_path: Path) -> None:
    cases = [
        (("analogies", demo, "seed0", "mixed9:5", "mobile"), ("mixed9", "mixed")),
        (("analogies", demo, "seed0", "mixed4a:999", "mobile"), ("no unit 999", "111")),
        (("analogies", demo, "seed0", "mixed4a", "mobile"), ("LAYER:UNIT",)),
        (("analogies", demo, "seed0", "conv1:1", "mobile", "--layers", "mixed"), ("matches no",)),
        (("analogies", demo, "seed0", "conv1:1", "mobile", "--layers", "("), ("malformed",)),
        (
            ("analogies", demo, "seed0", "conv1:1", "mobile", *(("--layers", "a") * 2)),
            ("2 regular expressions of layers for 1 models",),
        ),
        (("analogies", demo, "seed0", "conv1:1-1", "mobile"), ("is no direction",)),
        (("analogies", demo, "seed0", f"conv1:{tmp_path}/w.npy", "mobile"), ("numpy.save",)),
        (("analogies", demo, "seed0", "conv1:1", "mobile", "--size", "5"), ("size", "32")),
        (("analogies", logdir, "one@0", "stem:1", "two"), ("/net@0", "graph")),
        (("caricature", demo, "seed0", "absent.jpg"), ("absent.jpg", "neither")),
        (("caricature", demo, "seed0", __file__), ("cannot be decoded",)),
    ]
    for arguments, naming in cases:
        done = inside(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        (line,) = done.stderr.splitlines()
        for text in naming:
            assert text in line, (text, line)


@pytest.mark.parametrize(
    ("tied", "ranked_by", "said"),
    [
        (0, None, []),
        (1, None, ["At 6, one more photo ties with the last of these"]),
        (14, None, ["At 6, 14 more photos tie with the last of these"]),
        (0, "pre", ["Photos with equal activations are in the order of pre"]),
    ],
)
def test_what_is_said_of_photos_that_tie(tied: int, ranked_by: str | None, said: list[str]) -> None:
    sentences = about_ties(TopPositions([{"value": 6.0}], tied, ranked_by))
    assert [text[: len(start)] for text, start in zip(sentences, said, strict=True)] == said


@pytest.mark.parametrize("kind", ["analogies", "caricature"])
def test_a_device_that_is_not_there_is_named(
    inside: Run, half_dead: Path, tmp_path: Path, kind: str
) -> None:
    what = ("alive:1", "run") if kind == "analogies" else ("0",)
    options = ("--layers", "alive", "--out", tmp_path / "out", "--seed", 9, "--device", "gpu:999")
    done = inside(kind, half_dead, "run", *what, *options)
    assert done.returncode == 2
    assert "gpu:999 was asked for and TensorFlow sees" in done.stderr

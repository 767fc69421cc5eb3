"""What `list` and `similarity` print and write."""

from __future__ import annotations

import contextlib
import csv
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from command_line import Run, make_layers
from PIL import Image

from tb_modelcompare import SummaryWriter, __version__
from tb_modelcompare.log.reader import open_snapshot, open_steps
from tb_modelcompare.similarity import compare, seed_ceiling


def test_list_names_every_snapshot(inside: Run, logdir: Path) -> None:
    done = inside("list", logdir)
    assert done.returncode == 0
    header, *lines = done.stdout.splitlines()
    cells = [dict(zip(header.split(), line.split(), strict=False)) for line in lines]
    assert [row["SNAPSHOT"] for row in cells] == [
        "one/net@0",
        "one/net@5",
        "other/net@0",
        "two/net@0",
    ]
    assert [row["ROWS"] for row in cells] == ["120", "120", "60", "120"]
    assert {row["LAYERS"] for row in cells} == {"3"}
    assert {row["UNITS"] for row in cells} == {"44"}
    probes = [row["PROBE"] for row in cells]
    assert probes[0] == probes[1] == probes[3] != probes[2]
    assert done.stderr == ""


def test_similarity_prints_the_best_match_of_each_layer(command: Run, logdir: Path) -> None:
    done = command("similarity", logdir, "one@5", "two")
    assert done.returncode == 0
    title, header, *lines = done.stdout.splitlines()
    assert title == "Linear CKA, from 0 to 1; 120 rows"
    assert "one/net@5" in header
    assert "two/net@0" in header
    matches = {line.split()[0]: line.split()[1:] for line in lines}
    assert list(matches) == ["stem", "middle", "top"]
    # The top layers are rotations of the stem, to which linear CKA is blind.
    assert matches["stem"][0] == "1.000"
    assert matches["top"][0] == "1.000"
    assert float(matches["middle"][0]) < 0.5


def test_layers_of_each_side_are_chosen(inside: Run, logdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "values.csv"
    whole = inside("similarity", logdir, "one@5", "two", "--csv", file)
    assert whole.returncode == 0
    values = {row["linear_cka"]: row for row in csv.DictReader(file.open())}
    for layers, rows, columns in (
        (("middle|top",), ["middle", "top"], ["middle", "top"]),
        (("middle|top", "^stem$"), ["middle", "top"], ["stem"]),
    ):
        flags = [word for pattern in layers for word in ("--layers", pattern)]
        done = inside("similarity", logdir, "one@5", "two", "--csv", file, *flags)
        assert done.returncode == 0, done.stderr
        header, *lines = csv.reader(file.open())
        assert [line[0] for line in lines] == rows
        assert header[1:] == columns
        for name, *found in lines:
            expected = [float(values[name][column]) for column in columns]
            np.testing.assert_allclose([float(one) for one in found], expected, atol=1e-6)
    for flags, says in (
        (["--layers", "stem", "--layers", "mid_dle"], "two/net@0; nearest: middle"),
        (["--layers", "stem"] * 3, "3 regular expressions of layers for 2 models"),
    ):
        done = inside("similarity", logdir, "one@5", "two", *flags)
        assert done.returncode == 2
        assert says in done.stderr


def test_a_layer_that_is_dead_on_the_probe_is_left_out_and_named(
    inside: Run, own_logdir: Path, tmp_path: Path
) -> None:
    probe = open_snapshot(own_logdir, "one@0").probe()
    with SummaryWriter(own_logdir / "half", probe) as writer:
        writer.add_activations("net", {**make_layers(3), "silent": np.zeros((120, 5))})
    file = tmp_path / "matrix.csv"
    done = inside("similarity", own_logdir, "one@0", "half", "--csv", file)
    assert done.returncode == 0
    assert "silent" in done.stderr
    assert next(csv.reader(file.open())) == ["linear_cka", *make_layers(3)]


def test_csv_holds_exactly_what_compare_gives(inside: Run, logdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "matrix.csv"
    assert inside("similarity", logdir, "one@0", "two", "--csv", file).returncode == 0
    header, *rows = csv.reader(file.open())
    expected = compare(make_layers(1), make_layers(3), "linear_cka")
    assert header == ["linear_cka", *expected.columns]
    assert [row[0] for row in rows] == list(expected.rows)
    written = np.array([[float(value) for value in row[1:]] for row in rows])
    np.testing.assert_array_equal(written, expected.values)


def test_null_interval_effective_rows_and_baseline(
    inside: Run, logdir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.csv"
    asked = ("--permutations", 8, "--resamples", 6, "--untrained", "one@5", "--csv", file)
    done = inside("similarity", logdir, "one@0", "two", *asked)
    assert done.returncode == 0, done.stderr
    names = [
        *("null_mean", "null_high", "p_value", "calibrated"),
        *("low", "high", "effective_rows", "baseline"),
    ]
    header, *lines = csv.reader(file.open())
    assert header == ["a", "b", "linear_cka", *names]
    probe = open_snapshot(logdir, "two").probe_record
    expected = compare(
        make_layers(1),
        make_layers(3),
        groups=np.arange(120) // probe.positions_per_image,
        permutations=8,
        resamples=6,
        untrained=open_snapshot(logdir, "one@5").all_activations(),
    )
    for i, name in enumerate(header[2:]):
        written = np.array([float(line[2 + i]) for line in lines]).reshape(3, 3)
        matrix = expected.values if name == "linear_cka" else getattr(expected, name)
        np.testing.assert_array_equal(written, matrix)
    assert [line[:2] for line in lines[:2]] == [["stem", "stem"], ["stem", "middle"]]
    told, heads = done.stdout.splitlines()[1:3]
    images = 120 // probe.positions_per_image
    assert told == f"low, high: 95 % repeatability at {images} images"
    assert all(name in heads for name in names)


def test_other_trainings_give_a_ceiling(inside: Run, logdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    done = inside("similarity", logdir, "one@5", "two", "--seeds", "one@0", "two", "--csv", file)
    assert done.returncode == 0, done.stderr
    assert "ceiling" in done.stdout
    a = open_snapshot(logdir, "one@5").all_activations()
    others = [open_snapshot(logdir, name).all_activations() for name in ("one@0", "two")]
    expected = seed_ceiling(a, others)
    header, *lines = csv.reader(file.open())
    assert header == ["a", "b", "linear_cka", "ceiling"]
    for layer, _, _, ceiling in lines:
        assert float(ceiling) == pytest.approx(expected[layer])
    again = inside("similarity", logdir, "one@5", "two", "--seeds", "one@0", "two")
    assert again.stdout == done.stdout
    for seeds, says in ((["one@5"], "very activations"), (["three"], "'three'")):
        done = inside("similarity", logdir, "one@5", "two", "--seeds", *seeds)
        assert done.returncode == 2
        assert says in done.stderr


def test_the_interval_of_a_debiased_measure_is_for_all_images(inside: Run, logdir: Path) -> None:
    asked = ("--measure", "unbiased_linear_cka", "--resamples", 5)
    done = inside("similarity", logdir, "one@0", "two", *asked)
    assert "low, high: 95 % interval for the value over all images" in done.stdout, done.stderr
    without = inside("similarity", logdir, "one@0", "two", "--measure", "unbiased_linear_cka")
    assert "low, high" not in without.stdout


@pytest.mark.parametrize("asked", [(), ("--permutations", 8, "--untrained", "one@0")])
def test_a_second_identical_comparison_reads_no_activations(
    inside: Run, own_logdir: Path, tmp_path: Path, asked: tuple[object, ...]
) -> None:
    files = [tmp_path / "first.csv", tmp_path / "second.csv"]
    query = ("similarity", own_logdir, "one@5", "two", *asked, "--csv")
    first = inside(*query, files[0])
    assert first.returncode == 0, first.stderr
    snapshot = open_snapshot(own_logdir, "two")
    for layer in snapshot.layers:
        Path(snapshot.run_dir, layer.asset.path).write_bytes(b"damaged")
    second = inside(*query, files[1])
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert files[1].read_bytes() == files[0].read_bytes()
    other = inside("similarity", own_logdir, "one@5", "two", "--measure", "rsa_pearson")
    assert other.returncode == 2  # what was not computed before needs the files


def test_a_cache_that_cannot_be_written_loses_no_values(
    inside: Run, logdir: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    asked = ("similarity", logdir, "one@0", "two", "--measure", "r2_cca")
    done = inside(*asked, TB_MODELCOMPARE_CACHE=str(blocked))
    assert done.returncode == 0
    assert "is not kept for the next time" in done.stderr
    assert done.stdout == inside(*asked).stdout


def test_another_measure(inside: Run, logdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "matrix.csv"
    arguments = ("one@0", "two", "--measure", "mean_cca", "--csv", file)
    assert inside("similarity", logdir, *arguments).returncode == 0
    _, *rows = csv.reader(file.open())
    written = np.array([[float(value) for value in row[1:]] for row in rows])
    expected = compare(make_layers(1), make_layers(3), "mean_cca").values
    np.testing.assert_allclose(written, expected, rtol=1e-12)


def test_the_nearest_layer_by_a_distance_is_the_one_of_least_value(
    inside: Run, logdir: Path
) -> None:
    done = inside("similarity", logdir, "one@0", "one@0", "--measure", "shape_metric")
    assert done.returncode == 0, done.stderr
    title, _, *lines = done.stdout.splitlines()
    assert "a distance" in title
    matches = {line.split()[0]: line.split()[1:] for line in lines}
    assert matches["middle"] == ["0.000", "middle"]


def test_png_shows_high_values_light_and_low_ones_dark(
    inside: Run, logdir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "matrix.png"
    assert inside("similarity", logdir, "one@0", "one@0", "--png", file).returncode == 0
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=int)
    yellow = (abs(pixels - (253, 231, 37)).sum(axis=2) < 6).sum()
    cell = 24 * 24
    # The diagonal, and stem with top both ways: five cells of nine, beside the scale's end.
    assert 5 * cell <= yellow < 6 * cell


def test_too_few_rows_are_warned_of_in_one_line(inside: Run, tmp_path: Path) -> None:
    from tb_modelcompare import Probe, SummaryWriter

    rng = np.random.default_rng(0)
    probe = Probe(rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8))
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net", {"wide": rng.standard_normal((30, 64))})
    done = inside("similarity", tmp_path, "run", "run", "--measure", "mean_cca")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "tb-modelcompare: warning: 30 rows are fewer than 12 for each unit of wide"
    )


def test_version_and_help(command: Run, inside: Run) -> None:
    assert command("--version").stdout.strip() == f"tb-modelcompare {__version__}"
    done = inside("--help")
    assert done.returncode == 0
    for name in ("demo", "log", "list", "similarity", "analogies", "caricature", "report"):
        assert f"    {name}" in done.stdout
        assert inside(name, "--help").returncode == 0


@pytest.mark.parametrize("arguments", [("list",), ("demo", "--port", "70000"), ("nothing",), ()])
def test_wrong_usage_exits_2(inside: Run, arguments: tuple[str, ...]) -> None:
    done = inside(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_dynamics_prints_when_layers_froze(inside: Run, own_logdir: Path, tmp_path: Path) -> None:
    probe = open_snapshot(own_logdir, "one@0").probe()
    rng = np.random.default_rng(0)
    final = {name: rng.standard_normal((120, 6)) for name in ("early", "late")}
    with SummaryWriter(own_logdir / "run", probe) as writer:
        for step in range(6):
            noise = {name: 4 * rng.standard_normal((120, 6)) for name in final}
            mixed = {"early": final["early"] + (step < 2) * noise["early"]}
            mixed["late"] = final["late"] + (step < 4) * noise["late"]
            writer.add_activations("net", mixed, step=10 * step)
    files = {"--csv": tmp_path / "trend.csv", "--png": tmp_path / "trend.png"}
    done = inside("dynamics", own_logdir, "run", *(p for pair in files.items() for p in pair))
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert (rows["early"][-1], rows["late"][-1]) == ("20", "40")
    table = list(csv.reader(files["--csv"].open()))
    assert table[0] == ["linear_cka", "0", "10", "20", "30", "40", "50"]
    expected = compare(
        {"late": open_snapshot(own_logdir, "run@10").activations("late")},
        {"late": open_snapshot(own_logdir, "run@50").activations("late")},
    )
    assert float(table[2][2]) == pytest.approx(expected.values[0, 0], abs=1e-6)
    assert Image.open(files["--png"]).width > 100
    other = inside("dynamics", own_logdir, "run", "--reference", "one@0", "--threshold", "0.99")
    assert "never" in other.stdout


def test_dynamics_leaves_out_steps_that_were_deleted(inside: Run, own_logdir: Path) -> None:
    steps = open_steps(own_logdir, "one")
    with SummaryWriter(own_logdir / "one", steps[0].probe()) as writer:
        writer.add_activations("net", make_layers(7), step=9)
    last = open_snapshot(own_logdir, "one@9")
    shutil.rmtree(Path(last.run_dir, last.graph_asset.path).parent)
    done = inside("dynamics", own_logdir, "one")
    assert done.returncode == 0, done.stderr
    assert "Left out 1 of 3 snapshots" in done.stderr
    assert "one/net@9" in done.stderr
    assert "of 2 steps to one/net@5" in done.stdout
    listed = inside("list", own_logdir)
    assert listed.returncode == 2
    [marked] = [line for line in listed.stdout.splitlines() if "files are gone" in line]
    assert marked.startswith("one/net@9")


def test_values_that_are_known_are_not_computed_again(
    inside: Run, logdir: Path, environ: dict[str, str]
) -> None:
    """Neither along a run nor between models: values changed in the cache come out changed."""
    asked = [("dynamics", logdir, "one"), ("models", logdir, "one@0", "two", "--metric")]
    before = [inside(*asked[0]).stdout, inside(*asked[1], "angular_cka").stdout]
    file = Path(environ["TB_MODELCOMPARE_CACHE"]) / "pairs.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as known, known:
        known.execute("UPDATE pairs SET value = 0.123456")
    changed = [inside(*asked[0]).stdout, inside(*asked[1], "angular_cka").stdout]
    file.unlink()
    assert "0.123" in changed[0]
    assert [one != two for one, two in zip(before, changed, strict=True)] == [True, True]
    assert inside(*asked[0]).stdout == before[0]


def test_models_prints_distances_and_a_map(inside: Run, logdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "models.csv"
    done = inside("models", logdir, "one@0", "one@5", "two", "--csv", file)
    assert done.returncode == 0, done.stderr
    assert "one/net@5" in done.stdout
    header, *rows = list(csv.reader(file.open()))
    assert header == ["angular_cka", "one/net@0", "one/net@5", "two/net@0", "x", "y"]
    distances = np.array([row[1:4] for row in rows], float)
    points = np.array([row[4:] for row in rows], float)
    between = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.testing.assert_allclose(between, distances, atol=1e-4)  # three points fit into a plane
    mixed = inside("models", logdir)  # also a model of another probe
    assert (mixed.returncode, "probe" in mixed.stderr) == (2, True)
    assert inside("models", logdir, "one@0", "two", "--metric", "nearness").returncode == 2

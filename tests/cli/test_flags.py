"""Every flag is checked at the door: status 2 and one line, whatever the value; no traceback."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import make_layers
from tensorboard.plugins import base_plugin

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.cli import main
from tb_modelcompare.cli.tensorboard_process import TensorBoardError, tensorboard
from tb_modelcompare.cli.text import csv_text, printable, table
from tb_modelcompare.demo.logs import make_logs
from tb_modelcompare.errors import LogDirectoryError, OptionError
from tb_modelcompare.loader import ModelCompareLoader

NO_WHOLE = ("-1", "1.0", "1e3", "\u0663", "1_0", " 3", "", "nan", "three", "9" * 400)
NO_NUMBER = ("nan", "inf", "-inf", "\u0661", "1_0", "", "high", "1e999")
LOG = ("log", "model.keras", "--probe", "photos", "--logdir", "run")
PAIR = ("similarity", "LOGDIR", "one@0", "two")
DRAWN = ("analogies", "LOGDIR", "one@0", "stem:0", "two")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that refuses the arguments."""
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    shown = capsys.readouterr()
    assert status == 2, shown
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith("tb-modelcompare: ")
    assert line.isprintable()
    return line


def test_what_a_command_does_not_take_is_refused_with_its_own_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "(usage: tb-modelcompare rm [-h] LOGDIR:RUN[@STEP])" in refused(
        capsys, "rm", "logs", "a"
    )
    said = refused(capsys, *PAIR, "--mesure", "linear_cka")
    assert "--mesure linear_cka (usage: tb-modelcompare similarity" in said


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (("demo",), "--port"), (("demo",), "--steps"),
        *((LOG, flag) for flag in ("--step", "--limit", "--positions", "--size", "--seed")),
        (PAIR, "--permutations"), (PAIR, "--resamples"),
        *((DRAWN, flag) for flag in ("--size", "--steps", "--seed")),
        (("draw", "LOGDIR", "A", "stem:0"), "--between"),
        *((("caricature", "LOGDIR", "A", "cat"), f) for f in ("--size", "--steps", "--seed")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", NO_WHOLE)
def test_whole_numbers(
    capsys: pytest.CaptureFixture[str],
    logdir: Path,
    command: tuple[str, ...],
    flag: str,
    value: str,
) -> None:
    command = tuple(str(logdir) if word == "LOGDIR" else word for word in command)
    line = refused(capsys, *command, f"{flag}={value}")
    assert flag in line or "give" in line


@pytest.mark.parametrize("value", NO_NUMBER)
def test_numbers(capsys: pytest.CaptureFixture[str], logdir: Path, value: str) -> None:
    line = refused(capsys, "dynamics", str(logdir), "one", f"--threshold={value}")
    assert "--threshold" in line
    assert "is not a finite number" in line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((*LOG[:-1], ""), "--logdir: '' is no path"),
        (("log", "model.keras", "--probe", "", "--logdir", "run"), "--probe: '' is no path"),
        (("list", ""), "LOGDIR: '' is no path"),
        (("list", "a\0b"), "is no path"),
        (("demo", "--logdir", ""), "--logdir: '' is no path"),
        ((*PAIR, "--csv", ""), "--csv: '' is no path"),
        ((*PAIR, "--png", ""), "--png: '' is no path"),
        ((*DRAWN, "--out", ""), "--out: '' is no path"),
        (("report", "LOGDIR", "one", "two", "--out", ""), "--out: '' is no path"),
        ((*LOG, "--reduction", "max"), "--reduction"),
        ((*PAIR, "--measure", ""), "''"),
        ((*PAIR, "--measure", "cka"), "'cka'"),
        ((*PAIR, "--untrained", "three"), "'three'"),
        (("models", "LOGDIR", "one", "--metric", "euclid"), "'euclid'"),
        (("dynamics", "LOGDIR", "one", "--reference", ""), "''"),
        ((*DRAWN, "--layers", "("), "malformed"),
        ((*DRAWN, "--direction", "weights"), "--direction"),
        (("analogies", "LOGDIR", "one@0", "stem:\u0661", "two"), "no unit"),
        (("analogies", "LOGDIR", "one@0", "stem:12", "two"), "no unit 12"),
        (("analogies", "LOGDIR", "one@0", "stem", "two"), "give LAYER:UNIT"),
        (("demo", "--no-serve", "--port", "0"), "not allowed with"),
        (("demo", "--port", "65536"), "from 0 to 65535"),
        (("\x1b]0;title\x07",), "\\x1b"),
        ((*PAIR, "--colour"), "--colour"),
    ],
)
def test_other_flags(
    capsys: pytest.CaptureFixture[str], logdir: Path, arguments: tuple[str, ...], named: str
) -> None:
    words = (str(logdir) if word == "LOGDIR" else word for word in arguments)
    assert named in refused(capsys, *words)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--name", ""), "name is ''"),
        (("--name", "a\x1b[2J"), "printable"),
        (("--name", "x" * 201), "1 to 200"),
        (("--step", str(2**53)), "from 0 to 9007199254740991"),
        (("--layers", "("), "malformed"),
        (("--layers", "a{99999999999}"), "malformed"),
        (("--size", "4097"), "from 8 to 4096"),
        (("--positions", "70000"), "from 1 to 65536"),
        *(
            (("--preprocessing", value), "such as (x-127)/128")
            for value in ("nan,1", "0", "0,1,2", "0,inf", "\u0660,1", "0,1_0", "", "TF", "x*x")
        ),
        (("--preprocessing", "1,0"), "the range goes from 1 to 0"),
        (("--mean", "0.5,0.5"), "give one finite number, or three"),
        (("--std", "0"), "must be above 0"),
        (("--std", "1,x,1"), "not a finite number"),
        (("--preprocessing", "1,1"), "the range goes from 1 to 1"),
        (("--preprocessing", "0,1e39"), "preprocessing high is 1e+39"),
    ],
)
def test_flags_of_log_are_checked_before_photos_are_read(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, str],
    named: str,
) -> None:
    monkeypatch.setattr(Probe, "from_directory", None)
    model = tmp_path / "model.keras"
    model.touch()
    common = ("log", str(model), "--probe", str(tmp_path), "--logdir", str(tmp_path / "run"))
    assert named in refused(capsys, *common, f"{flags[0]}={flags[1]}")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Names of layers and runs that a terminal or a spreadsheet would obey."""
    probe = Probe(np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8))
    values = list(make_layers(1, rows=60).values())
    names = ("=HYPERLINK(1)", "@SUM(1)", "plain")
    with SummaryWriter(tmp_path / "logs" / "=run\x1b[2J", probe) as writer:
        for step in (0, 1):
            writer.add_activations("=net", dict(zip(names, values, strict=True)), step)
    return tmp_path / "logs"


@pytest.mark.parametrize("command", ["list", "similarity", "dynamics", "models"])
def test_names_are_printed_without_what_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str], hostile: Path, tmp_path: Path, command: str
) -> None:
    run = "=run\x1b[2J"
    more = {
        "similarity": (f"{run}@0", f"{run}@1"),
        "dynamics": (run,),
        "models": (f"{run}@0", f"{run}@1"),
    }
    assert main([command, str(hostile), *more.get(command, ())]) == 0
    shown = capsys.readouterr()
    assert "=run\\x1b[2J" in shown.out
    for text in (shown.out, shown.err):
        assert text.replace("\n", "").replace("\r", "").isprintable()


def test_an_error_shows_names_escaped(capsys: pytest.CaptureFixture[str], logdir: Path) -> None:
    line = refused(capsys, "similarity", str(logdir), "one@0", "\x1b]0;PWNED\x07\u202e\nsecond")
    assert "\\x1b]0;PWNED\\x07\\u202e\\nsecond" in line


def cells(file: Path) -> list[list[str]]:
    with file.open(newline="") as stream:
        return list(csv.reader(stream))


def test_no_cell_of_a_csv_file_is_a_formula(
    capsys: pytest.CaptureFixture[str], hostile: Path, tmp_path: Path
) -> None:
    run, file = "=run\x1b[2J", tmp_path / "values.csv"
    for arguments in (
        ("similarity", str(hostile), f"{run}@0", f"{run}@1"),
        ("similarity", str(hostile), f"{run}@0", f"{run}@1", "--resamples", "5"),
        ("dynamics", str(hostile), run),
        ("models", str(hostile), f"{run}@0", f"{run}@1"),
    ):
        assert main([*arguments, "--csv", str(file)]) == 0
        capsys.readouterr()
        lines = cells(file)
        names = {cell for line in lines for cell in line}
        assert names & {"'=HYPERLINK(1)", "'=run\x1b[2J/=net@0"}
        for cell in names:
            assert not cell.startswith(("=", "@", "+")), cell
            assert not cell.startswith("-") or float(cell) < 0


def test_words_of_a_csv_file() -> None:
    for text in ("=1", "+1", "-1", "@x", "\t=1", "\r=1"):
        assert csv_text(text) == f"'{text}"
    for text in ("", "conv1", "a=b", "'=1"):
        assert csv_text(text) == text


def test_what_can_be_printed_stays() -> None:
    assert printable("sœur/été R² ≥ 0.5 猫") == "sœur/été R² ≥ 0.5 猫"
    assert printable("a\x1b[1m\x9b\u202e\udc80\n\u2028") == "a\\x1b[1m\\x9b\\u202e\\udc80\\n\\u2028"
    assert table(("A", ">B"), [("x\ny", "1")]) == "A     B\nx\\ny  1"


@pytest.mark.parametrize("steps", [0, -3, 2.0, True, "4", None])
def test_steps_of_the_demo(tmp_path: Path, steps: Any) -> None:
    with pytest.raises(OptionError, match="steps is"):
        make_logs(tmp_path / "demo", steps=steps, say=print, check=lambda: None)
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("port", [-1, 65536, 10**30, True, "6006", 80.0])
def test_ports_of_the_demo(tmp_path: Path, port: Any) -> None:
    with pytest.raises(TensorBoardError, match="port is"), tensorboard(tmp_path, port):
        pass


@pytest.mark.parametrize(
    "marker", ["[" * 100_000, '{"steps": "4", "accuracy": {}, "seconds": 1}', "[]", "\x00",
               '{"steps": 4, "accuracy": [1], "seconds": 1}',
               '{"steps": 4, "accuracy": {}, "seconds": NaN}'],
)  # fmt: skip
def test_a_demo_whose_marker_is_damaged_is_trained_anew(
    tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_modelcompare.demo.logs._TRAIN_WINDOWS", 1)  # they are cut, not used
    probe = Probe(np.zeros((2, 4, 4, 3), np.uint8))
    for run, steps in (("seed0", (0, 1, 4)), ("seed1", (4,)), ("mobile", (4,))):
        with SummaryWriter(tmp_path / run, probe) as writer:
            for step in steps:
                writer.add_activations(run, {"layer": np.ones((2, 2))}, step)
    file = tmp_path / "tb_modelcompare_demo.json"
    whole = {"logdir": str(tmp_path), "steps": 4, "accuracy": {"seed0@4": 0.5}, "seconds": 1.0}
    file.write_text(json.dumps(whole))
    assert make_logs(tmp_path, steps=4, say=print, check=lambda: None).accuracy == {"seed0@4": 0.5}

    class TrainingBegins(Exception):  # noqa: N818 (no error)
        pass

    def begins(line: str) -> None:
        assert "holds this demo already" not in line
        raise TrainingBegins

    file.write_text(marker)
    with pytest.raises(TrainingBegins):
        make_logs(tmp_path, steps=4, say=begins, check=lambda: None)


def test_a_demo_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LogDirectoryError):
        make_logs(tmp_path / "file", steps=4, say=print, check=lambda: None)


def flags(**given: Any) -> argparse.Namespace:
    """As TensorBoard has them, from the command line or from a program."""
    parser = argparse.ArgumentParser()
    ModelCompareLoader().define_flags(parser)
    found = parser.parse_args([])
    found.samples_per_plugin = {}
    for name, value in given.items():
        setattr(found, f"modelcompare_{name}", value)
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("cache_gb", size)
            for size in (float("nan"), float("inf"), -1.0, -1e-9, 1e300, True, "4", None)
        ),
        *(
            ("hosts", hosts)
            for hosts in ("http://lab", "lab:8080", "lab/x", "a b", "a,b c", "*.lab", "\u202elab")
        ),
        *(("scheduler", address) for address in ("tcp://", "a b:1", "tcp:// :8786")),
    ],
)
def test_flags_of_tensorboard(name: str, value: Any) -> None:
    with pytest.raises(base_plugin.FlagsError, match=f"--modelcompare_{name}"):
        ModelCompareLoader().fix_flags(flags(**{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("cache_gb", size) for size in (0, 0.5, 4.0, 1e6)),
        *(("hosts", hosts) for hosts in ("", "*", "lab.example, Lab2", "10.0.0.7,::1")),
        *(("scheduler", a) for a in ("", "tcp://host:8786", "host:8786", "tls://[::1]:8786")),
    ],
)
def test_flags_that_tensorboard_takes(name: str, value: Any) -> None:
    found = flags(**{name: value})
    ModelCompareLoader().fix_flags(found)
    assert found.samples_per_plugin == {"modelcompare": 0}

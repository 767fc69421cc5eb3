"""The commands of the tutorial run, on networks of the demo that were not trained."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.cli import main
from tb_modelcompare.cli.parser import build_parser

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
LOGS = "logs/tb_modelcompare_demo"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def demo(tmp_path: Path, drawn_here: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the demo logs, without training and with few images."""
    import keras

    from tb_modelcompare.demo import networks

    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    probe = Probe(pixels, positions_per_image=4)
    for run, steps, seed in (("seed0", (0, 400), 0), ("seed1", (400,), 1)):
        keras.utils.set_random_seed(seed)
        model = networks.inception(keras)
        with SummaryWriter(tmp_path / LOGS / run, probe) as writer:
            for step in steps:
                writer.add_model(
                    run, model, step, Preprocessing.tf(), networks.compared_layers(model),
                    progress=False,
                )  # fmt: skip
    return tmp_path


def test_commands_run_and_print_what_the_page_shows(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = [
        shlex.split(line.replace("\\\n", " "))
        for block in blocks("sh")
        for line in re.split(r"(?<!\\)\n", block.strip())
    ]
    shown = blocks("text")
    ran = 0
    for program, *arguments in commands:
        if program != "tb-modelcompare":
            assert program in ("pip", "tensorboard")
            continue
        if arguments[0] == "demo":  # it trains for minutes; its own tests run it
            build_parser().parse_args(arguments)
            continue
        smaller = ["--steps", "2", "--size", "32"] if arguments[0] == "analogies" else []
        if "--permutations" in arguments:
            smaller = ["--permutations", "9", "--resamples", "9"]
        assert main([*arguments, *smaller]) == 0
        printed = capsys.readouterr().out
        ran += 1
        # Numbers differ; the page shows the same layers in the same order.
        first = [line.split()[0] for line in printed.splitlines() if line.strip()]
        page = [line.split()[0] for text in shown for line in text.splitlines() if line.strip()]
        assert set(first) & set(page)
    assert ran == 4


def test_its_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"\]\((images/tutorial[^)]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(pictures) == 3
    assert sum((ROOT / "docs" / one).stat().st_size for one in pictures) < 1_000_000

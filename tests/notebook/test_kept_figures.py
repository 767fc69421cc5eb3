"""Figures of comparisons that were made before, in a notebook or elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter, open_snapshot, show
from tb_modelcompare.cli import main
from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.similarity import MEASURES


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of one probe, and a cache that holds nothing yet."""
    monkeypatch.setenv("TB_MODELCOMPARE_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    probe = Probe(random.integers(0, 256, (40, 8, 8, 3), np.uint8))
    for run in ("one", "two"):
        with SummaryWriter(tmp_path / "logs" / run, probe) as writer:
            layers = {name: random.standard_normal((40, 5)) for name in ("conv1", "conv2")}
            writer.add_activations("net", layers)
    return tmp_path / "logs"


def damage(logs: Path) -> None:
    for run in ("one", "two"):
        snapshot = open_snapshot(logs, run)
        for layer in snapshot.layers:
            Path(snapshot.run_dir, layer.asset.path).write_bytes(b"damaged")


def test_a_second_figure_reads_no_activations(logs: Path) -> None:
    asked = {"measure": "r2_cca", "layers": "conv1"}
    first = [show(f"{logs}:one", f"{logs}:two", **some).page for some in ({}, asked)]  # type: ignore[arg-type]
    damage(logs)
    again = [show(f"{logs}:one", f"{logs}:two", **some).page for some in ({}, asked)]  # type: ignore[arg-type]
    assert again == first
    changed = replace(MEASURES["linear_cka"], title="Changed")
    for other in ("r2_cca", changed):  # neither was computed before
        with pytest.raises(CorruptSnapshotError):
            show(f"{logs}:one", f"{logs}:two", measure=other)  # type: ignore[arg-type]


def test_a_comparison_of_the_command_line_is_found(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a notebook, and by a pattern that all layers match."""
    command = ["similarity", str(logs), "one", "two"]
    assert main(command) == 0
    whole = capsys.readouterr().out
    damage(logs)
    assert "conv2" in show(f"{logs}:one", f"{logs}:two").page
    assert main([*command, "--layers", "conv"]) == 0
    assert capsys.readouterr().out == whole

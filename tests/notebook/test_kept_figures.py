"""Figures of comparisons that were made before, in a notebook or elsewhere."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from server_fixtures import serve  # noqa: F401
from serving import Server

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


TAB = {"kind": "significance", "a": "one/net@0", "b": "two/net@0", "measure": "linear_cka"}


@pytest.mark.parametrize("layers", [{}, {"layers_a": ["conv2"]}])
def test_statistics_of_the_command_line_are_found_by_the_tab(
    logs: Path,
    serve: Callable[..., Server],  # noqa: F811
    layers: dict[str, list[str]],
    tmp_path: Path,
) -> None:
    table = tmp_path / "table.csv"
    chosen = [word for names in layers.values() for word in ("--layers", *names, "--layers", ".")]
    command = ["similarity", str(logs), "one", "two", "--permutations", "199", *chosen]
    assert main([*command, "--csv", str(table)]) == 0
    damage(logs)
    server = serve(logs)
    found = server.ask({**TAB, **layers, "permutations": 199})
    assert (found["status"], found["cached"], found["kind"]) == ("done", True, "significance")
    result = server.json("result", id=found["id"])
    assert result["columns"] == ["conv1", "conv2"]
    lines = list(csv.DictReader(table.open()))
    assert len(lines) == len(result["rows"]) * 2
    assert {"values", "p_value", "family_p_value", "null_mean"} <= set(result["arrays"])
    for name in result["arrays"]:
        values = np.frombuffer(server.get("array", id=found["id"], name=name).data, "<f8")
        column = "linear_cka" if name == "values" else name
        assert [float(line[column]) for line in lines] == values.tolist()


def test_statistics_of_the_tab_are_found_by_the_command_line(
    logs: Path,
    serve: Callable[..., Server],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = serve(logs)
    every = {"layers_a": ["conv2", "conv1"]}  # all there are
    job = server.ask({**TAB, **every, "permutations": 9, "resamples": 8})
    assert server.wait(job["id"])["status"] == "done"
    damage(logs)
    asked = ["similarity", str(logs), "one", "two"]
    assert main([*asked, "--permutations", "9", "--resamples", "8"]) == 0
    assert "p_value" in capsys.readouterr().out
    assert main([*asked, "--permutations", "9"]) == 2  # another comparison, of damaged files

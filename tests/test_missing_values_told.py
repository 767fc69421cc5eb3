"""A layer without a value, in the tab's jobs and on the command line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from server_fixtures import serve  # noqa: F401
from serving import Server, make_probe

from tb_modelcompare import SummaryWriter
from tb_modelcompare.cli import main

A, B = "one/net@0", "two/net@0"
NOTE = "No value for silent: half or more of the pairs of its rows are equal"


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs; a layer of each responds to two images."""
    monkeypatch.setenv("TB_MODELCOMPARE_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    probe = make_probe()
    for run in ("one", "two"):
        layers = {name: random.standard_normal((60, 5)) for name in ("silent", "conv")}
        layers["silent"][6:] = 0.0
        with SummaryWriter(tmp_path / "logs" / run, probe) as writer:
            writer.add_activations("net", layers)
    return tmp_path / "logs"


def test_a_job_has_no_value_there_and_says_why(logs: Path, serve: Callable[..., Server]) -> None:  # noqa: F811
    server = serve(logs)
    asked = {"a": A, "b": B, "measure": "unbiased_rbf_cka"}
    job = server.wait(server.ask({"kind": "similarity", **asked})["id"])
    assert job["status"] == "done", job
    info = server.json("matrix_info", id=job["id"])
    assert info["rows"] == info["columns"] == ["silent", "conv"]
    assert any(note.startswith(NOTE) for note in info["warnings"])
    values = np.frombuffer(server.get("matrix", id=job["id"]).data, "<f8").reshape(2, 2)
    assert np.isnan(values).tolist() == [[True, True], [True, False]]

    job = server.wait(server.ask({"kind": "significance", **asked, "permutations": 9})["id"])
    assert job["status"] == "done", job
    found = server.json("result", id=job["id"])
    assert any(note.startswith(NOTE) for note in found["warnings"])
    for name in ("values", "p_value"):
        values = np.frombuffer(server.get("array", id=job["id"], name=name).data, "<f8")
        assert np.isnan(values).tolist() == [True, True, True, False]


def test_the_command_line_says_why(
    logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.csv"
    command = ["similarity", str(logs), A, B, "--measure", "unbiased_rbf_cka", "--csv", str(file)]
    for _ in range(2):  # the second is from the cache
        assert main(command) == 0
        out, err = capsys.readouterr()
        assert f"warning: {NOTE}" in err
        of_silent, of_conv = (line.split() for line in out.splitlines()[-2:])
        assert of_silent == ["silent", "nan", "–"]
        assert of_conv[2] == "conv"  # and not the layer without a value
        _, silent, conv = csv.reader(file.open())
        assert silent == ["silent", "nan", "nan"]
        assert conv[1] == "nan"
        assert abs(float(conv[2])) < 1.0

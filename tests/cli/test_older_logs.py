"""Logs of earlier versions, in `tests/fixtures/logs`, with what those versions read there."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run

from tb_modelcompare import open_snapshot
from tb_modelcompare.similarity import MEASURES, compare

LOGS = Path(__file__).parents[1] / "fixtures/logs"
VERSIONS = sorted(file.stem for file in LOGS.glob("*.json"))


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def golden(version: str) -> Any:
    return json.loads((LOGS / f"{version}.json").read_text())


def test_every_snapshot_is_listed(inside: Run, version: str, golden: Any) -> None:
    listed = inside("list", str(LOGS / version))
    assert listed.returncode == 0, listed.stderr
    assert listed.stderr == ""  # no problem is reported
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == [snapshot[0] for snapshot in golden["snapshots"]]
    assert [int(row[1]) for row in rows] == [snapshot[3] for snapshot in golden["snapshots"]]


def test_values_are_those_of_that_version(
    inside: Run, version: str, golden: Any, tmp_path: Path
) -> None:
    for measure, before in golden["similarity"].items():
        if MEASURES[measure].by_image:  # over pairs of different images since: see below
            continue
        file = tmp_path / f"{measure}.csv"
        asked = ("first/net@0", "second/nested", "--measure", measure, "--csv", str(file))
        found = inside("similarity", str(LOGS / version), *asked)
        assert found.returncode == 0, found.stderr
        with file.open(newline="") as stream:
            table = list(csv.reader(stream))
        assert table[0][1:] == before["columns"]
        assert [row[0] for row in table[1:]] == before["rows"]
        values = np.array([row[1:] for row in table[1:]], float)
        np.testing.assert_allclose(values, before["values"], atol=2e-6)


def test_of_rows_that_are_images_values_are_those_of_that_version(
    version: str, golden: Any
) -> None:
    """Measures that are over different images now, on rows that each count as one."""
    a, b = (open_snapshot(LOGS / version, name) for name in ("first/net@0", "second/nested"))
    for measure, before in golden["similarity"].items():
        if MEASURES[measure].by_image:
            layers = [
                {name: one.activations(name) for name in before[side]}
                for one, side in ((a, "rows"), (b, "columns"))
            ]
            found = compare(*layers, measure, groups="rows")
            np.testing.assert_allclose(found.values, before["values"], atol=2e-6)


def test_models_that_could_be_rendered_still_can(version: str, inside: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    out = tmp_path / "out"
    asked = ("first/net@0", "block1_conv:2", "second/nested", "--out", str(out))
    options = ("--layers", "block2_conv", "--steps", "2", "--size", "32")
    made = inside("analogies", str(LOGS / version), *asked, *options)
    assert made.returncode == 0, made.stderr
    assert list(out.glob("*.png"))

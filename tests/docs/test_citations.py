"""Every measure's paper can be cited from the tab."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tb_modelcompare.similarity import MEASURES

ROOT = Path(__file__).parents[2]
ENTRIES = (ROOT / "frontend/src/draw/bibtex.ts").read_text()
NAMES = re.findall(r"^  '?([^'\n]+?)'?: `@", ENTRIES, re.MULTILINE)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_each_paper_of_a_measure_has_an_entry(measure) -> None:  # type: ignore[no-untyped-def]
    found = [name for name in NAMES if name in measure.paper]
    years = re.findall(r"(?:18|19|20)\d\d", measure.paper)
    assert found, measure.paper
    assert len(found) >= len(years), measure.paper

"""Every measure's paper can be cited from the tab."""

from __future__ import annotations

import re

import pytest

from tb_modelcompare.compare.wire import measure_info
from tb_modelcompare.similarity import MEASURES


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_each_paper_of_a_measure_has_an_entry(measure) -> None:  # type: ignore[no-untyped-def]
    entries = measure_info(measure).bibtex.split("\n\n")
    years = re.findall(r"(?:18|19|20)\d\d", measure.paper)
    assert len(entries) >= max(1, len(years)), measure.paper
    for entry in entries:
        assert re.match(r"@(article|inproceedings|misc)\{[a-z0-9]+,\n", entry)
        assert entry.count("{") == entry.count("}")
        assert {"title", "author"} <= set(re.findall(r"^  (\w+) = \{", entry, re.MULTILINE))
    cited = " ".join(entries)
    assert all(f"year = {{{year}}}" in cited for year in years)

"""What stands beside the README agrees with the package."""

from __future__ import annotations

import re
from pathlib import Path

from tb_modelcompare.version import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_the_citation_and_the_changelog_name_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(__version__)}$", citation, re.MULTILINE)
    (released,) = re.findall(r"^date-released: (\S+)$", citation, re.MULTILINE)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}] - {released}" in changelog
    assert changelog.index("## [Unreleased]") < changelog.index(f"## [{__version__}]")


def test_the_recipes_name_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipes = text[text.index("## Add a measure") :]
    assert len(re.findall("^## Add", recipes, re.MULTILINE)) == 4
    named = re.findall(r"`((?:tb_modelcompare|frontend|tests|docs)/[\w./-]*)`", recipes)
    assert len(named) > 15
    for name in named:
        if "NAME" not in name:
            assert (ROOT / name).exists(), name

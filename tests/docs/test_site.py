"""The documentation is built without a warning, is complete, and fetches nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tb_modelcompare import analogy, errors, render, similarity, training, zoo
from tb_modelcompare.cli.parser import build_parser, command_parsers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("the extra `docs` is not installed")
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    assert "WARNING" not in built.stderr
    return out


class _Fetched(HTMLParser):
    """The addresses of what a browser fetches to show a page; links that one clicks are none."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get("src") or (given.get("href") if tag == "link" else None)
        if address:
            self.addresses.append(address)


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        fetched = _Fetched()
        fetched.feed(page.read_text(encoding="utf-8"))
        assert fetched.addresses
        outside = [one for one in fetched.addresses if re.match(r"(https?:)?//", one)]
        assert outside == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", sheet.read_text("utf-8")), (
            sheet
        )


@pytest.mark.parametrize("module", [similarity, analogy, training, render, zoo])
def test_the_reference_has_every_public_name(site: Path, module: object) -> None:
    name = module.__name__  # type: ignore[attr-defined]
    page = (site / "reference" / f"{name.rpartition('.')[2]}.html").read_text(encoding="utf-8")
    for public in module.__all__:  # type: ignore[attr-defined]
        heading = rf'<h\d id="(tb_modelcompare[\w.]*\.)?{public}"'
        assert re.search(heading, page), f"{name}.{public}"


def test_the_reference_has_every_error(site: Path) -> None:
    page = (site / "reference" / "errors.html").read_text(encoding="utf-8")
    for name, value in vars(errors).items():
        if isinstance(value, type) and value.__module__ == errors.__name__:
            assert f"tb_modelcompare.errors.{name}" in page


def test_the_command_line_and_the_measures_are_written_from_the_code(site: Path) -> None:
    page = (site / "reference" / "command_line.html").read_text(encoding="utf-8")
    flags = set(re.findall(r"--[a-z-]+", build_parser().format_help()))
    for name, parser in command_parsers().items():
        assert f'<h2 id="{name}">' in page
        flags |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", parser.format_help()))
    shown = flags - {"--help", "--version"}
    assert len(shown) > 20
    assert [flag for flag in sorted(shown) if flag not in page] == []
    measures = (site / "reference" / "measures.html").read_text(encoding="utf-8")
    assert all(f'<h3 id="{name}">' in measures for name in similarity.MEASURES)


def test_links_of_the_repository_s_own_pages_lead_to_files() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(pages) > 15
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_sources_name_pages_that_exist() -> None:
    sources = [
        file
        for folder in ("tb_modelcompare", "tests", "benchmarks", "build_support", "frontend/src")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".ts", ".svelte") and "static" not in file.parts
    ]
    assert len(sources) > 100
    for file in sources:
        for name in re.findall(r"\bdocs/[\w/-]+\.md", file.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{file}: {name}"

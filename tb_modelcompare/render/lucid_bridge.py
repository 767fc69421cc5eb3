"""Load the packed lucid modules on today's TensorFlow, unseen by the rest of the process.

lucid 0.3.10 is written for TensorFlow 1. A finder for `lucid` and `lucid.*`, and for
nothing else, reads the packed sources, redirects their imports of TensorFlow 1 and of
two small helper libraries to `lucid_stand_ins`, and compiles them in memory: no
`__pycache__`, no patch of TensorFlow, Keras or TensorBoard.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import logging
import sys
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from tb_modelcompare.errors import NotRenderableError

PACKED = Path(__file__).with_name("_lucid")

_STAND_INS = "tb_modelcompare.render.lucid_stand_ins"

# Imported by lucid's modules, used by nothing that we call: notebook displays,
# downloads and their dependencies.
_LEFT_OUT = frozenset(
    {
        "lucid.misc.io",
        "lucid.misc.io.saving",
        "lucid.misc.io.showing",
        "lucid.modelzoo.aligned_activations",
        "lucid.modelzoo.get_activations",
    }
)
_REDIRECTED = frozenset({"tensorflow.contrib", "future.standard_library", "decorator"})

_lock = threading.Lock()


@dataclass(frozen=True)
class Lucid:
    """The modules of lucid that a render calls."""

    color: Any
    objectives: Any
    param: Any
    render: Any
    spatial: Any
    transform: Any
    vision_base: Any


def load_lucid() -> Lucid:
    """Import lucid from the packed sources; the second call costs nothing.

    Raises
    ------
    NotRenderableError
        The packed sources are absent: the package was not built by its setup.py.
    """
    if not (PACKED / "lucid" / "__init__.py").is_file():
        raise NotRenderableError(
            f"lucid is not packed in {PACKED}; install tb-modelcompare with pip, or in a checkout "
            "run `python build_support/pack_lucid.py`"
        )
    with _lock:
        finder = _Finder()
        _forget_other_lucid()
        handlers = list(logging.root.handlers)
        level = logging.root.level
        sys.meta_path.insert(0, finder)
        try:
            # lucid adds warning filters and a root log handler when it is imported.
            with warnings.catch_warnings():
                return Lucid(
                    color=importlib.import_module("lucid.optvis.param.color"),
                    objectives=importlib.import_module("lucid.optvis.objectives"),
                    param=importlib.import_module("lucid.optvis.param"),
                    render=importlib.import_module("lucid.optvis.render"),
                    spatial=importlib.import_module("lucid.optvis.param.spatial"),
                    transform=importlib.import_module("lucid.optvis.transform"),
                    vision_base=importlib.import_module("lucid.modelzoo.vision_base"),
                )
        finally:
            sys.meta_path.remove(finder)
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)


def _forget_other_lucid() -> None:
    """An unmodified lucid that somebody imported before cannot run on this TensorFlow."""
    package = sys.modules.get("lucid")
    if package is not None and not isinstance(package.__loader__, _Loader):
        for name in [n for n in sys.modules if n == "lucid" or n.startswith("lucid.")]:
            del sys.modules[name]


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "lucid" and not fullname.startswith("lucid."):
            return None
        if fullname in _LEFT_OUT:
            return ModuleSpec(fullname, _LeftOut(), is_package=True)
        base = PACKED.joinpath(*fullname.split("."))
        is_package = base.is_dir()
        source = base / "__init__.py" if is_package else base.with_suffix(".py")
        if not source.is_file():
            return None
        spec = ModuleSpec(fullname, _Loader(source), origin=str(source), is_package=is_package)
        if is_package:
            spec.submodule_search_locations = [str(base)]
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, source: Path) -> None:
        self.source = source

    def exec_module(self, module: ModuleType) -> None:
        tree = _Redirect().visit(ast.parse(self.source.read_bytes(), str(self.source)))
        exec(compile(ast.fix_missing_locations(tree), str(self.source), "exec"), vars(module))


class _LeftOut(importlib.abc.Loader):
    def exec_module(self, module: ModuleType) -> None:
        stand_ins = importlib.import_module(_STAND_INS)

        def name_of(attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            return stand_ins.missing(f"{module.__name__}.{attribute}")

        vars(module)["__getattr__"] = name_of


class _Redirect(ast.NodeTransformer):
    """Point lucid's imports of TensorFlow 1 and helper libraries at our stand-ins."""

    def visit_Import(self, node: ast.Import) -> ast.AST:
        if [(alias.name, alias.asname) for alias in node.names] == [("tensorflow", "tf")]:
            return _import_from(_STAND_INS, [ast.alias("tf")])
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module in _REDIRECTED:
            return _import_from(_STAND_INS, node.names)
        return node


def _import_from(module: str, names: list[ast.alias]) -> ast.ImportFrom:
    return ast.ImportFrom(module=module, names=names, level=0)

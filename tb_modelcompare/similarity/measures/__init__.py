"""All measures by name: a module for each family, which lists its own as `MEASURES`."""

from __future__ import annotations

import importlib
import pkgutil

from tb_modelcompare.similarity.registry import Measure

# Families in the order in which the tab offers them; one that is not named here comes last.
_ORDER = (
    "cka",
    "cca",
    "svcca",
    "shape",
    "regression",
    "rbf",
    "rsa",
    "neighbours",
    "cosine_neighbours",
    "matching",
)


def _families() -> list[str]:
    found = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return sorted(found, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for family in _families()
    for measure in importlib.import_module(f"{__name__}.{family}").MEASURES
}
"""The measures that `compare` knows, the default first."""

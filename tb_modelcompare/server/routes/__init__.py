"""All routes: each module of this folder lists its own as `ROUTES`."""

from __future__ import annotations

import importlib
import pkgutil

from tb_modelcompare.server.route import Route

ROUTES: tuple[Route, ...] = tuple(
    route
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__))
    for route in importlib.import_module(f"{__name__}.{name}").ROUTES
)

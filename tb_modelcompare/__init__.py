"""Compare what two models learned: TensorBoard plugin, Python library, command line.

The public names are loaded on first use, so that importing the package (as
TensorBoard does at its start) costs nothing and cannot fail for the lack of an
optional dependency.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tb_modelcompare.version import __version__

if TYPE_CHECKING:
    from tb_modelcompare.compare.behaviour import behaviour
    from tb_modelcompare.log.reader import list_snapshots, open_snapshot
    from tb_modelcompare.log.snapshot import Snapshot
    from tb_modelcompare.log.writer import SummaryWriter
    from tb_modelcompare.notebook import analogies, caricatures, draw, show
    from tb_modelcompare.probe.preprocessing import Preprocessing
    from tb_modelcompare.probe.probe import Probe


__all__ = [
    "Preprocessing",
    "Probe",
    "Snapshot",
    "SummaryWriter",
    "__version__",
    "analogies",
    "behaviour",
    "caricatures",
    "draw",
    "list_snapshots",
    "open_snapshot",
    "show",
]

_HOME = {
    "Preprocessing": "tb_modelcompare.probe",
    "Probe": "tb_modelcompare.probe",
    "Snapshot": "tb_modelcompare.log.snapshot",
    "SummaryWriter": "tb_modelcompare.log.writer",
    "analogies": "tb_modelcompare.notebook",
    "behaviour": "tb_modelcompare.compare.behaviour",
    "caricatures": "tb_modelcompare.notebook",
    "draw": "tb_modelcompare.notebook",
    "list_snapshots": "tb_modelcompare.log.reader",
    "open_snapshot": "tb_modelcompare.log.reader",
    "show": "tb_modelcompare.notebook",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

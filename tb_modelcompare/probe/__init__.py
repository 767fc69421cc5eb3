"""What every model is shown: images or arrays, the positions that are read, preprocessing."""

from __future__ import annotations

from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe

__all__ = ["Preprocessing", "Probe"]

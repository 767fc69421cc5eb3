"""Models by name, fetched on the user's machine when asked for, with their own preprocessing."""

from __future__ import annotations

from tb_modelcompare.zoo.loading import is_name, load
from tb_modelcompare.zoo.model import ZooModel, short_name

__all__ = ["ZooModel", "is_name", "load", "short_name"]

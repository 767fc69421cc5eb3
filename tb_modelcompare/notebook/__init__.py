"""What a notebook shows: the alignment graph, units, their analogies, caricatures of a photo."""

from __future__ import annotations

from tb_modelcompare.notebook.directions import Pictures, draw
from tb_modelcompare.notebook.figure import Figure, show
from tb_modelcompare.notebook.pictures import Analogies, Caricatures, analogies, caricatures

__all__ = [
    "Analogies",
    "Caricatures",
    "Figure",
    "Pictures",
    "analogies",
    "caricatures",
    "draw",
    "show",
]

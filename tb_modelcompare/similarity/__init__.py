"""Measures of similarity between layers, for all pairs of layers of two models.

>>> from tb_modelcompare import similarity
>>> similarity.linear_cka(X, Y)
>>> similarity.compare(layers_of_a, layers_of_b, "linear_cka").values

Needs numpy and scipy only. `docs/measures.md` has the table of conventions.
"""

from __future__ import annotations

from tb_modelcompare.similarity.cca import mean_cca, r2_cca, whitened_correlation
from tb_modelcompare.similarity.cka import linear_cka, unbiased_linear_cka
from tb_modelcompare.similarity.engine import Comparison, ComparisonCancelled, compare
from tb_modelcompare.similarity.measures import MEASURES
from tb_modelcompare.similarity.registry import INVARIANCES, Measure

__all__ = [
    "INVARIANCES",
    "MEASURES",
    "Comparison",
    "ComparisonCancelled",
    "Measure",
    "compare",
    "linear_cka",
    "mean_cca",
    "r2_cca",
    "unbiased_linear_cka",
    "whitened_correlation",
]

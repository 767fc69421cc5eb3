"""Measures of similarity between layers, for all pairs of layers of two models.

Needs numpy and scipy, and threadpoolctl to spread work over threads. The documentation's
page `docs/explanation/measures.md` says which measure answers which question.

Examples
--------
>>> import numpy as np
>>> from tb_modelcompare import similarity
>>> X = np.random.default_rng(0).standard_normal((100, 3))
>>> round(similarity.linear_cka(X, 2 * X), 6)
1.0
>>> similarity.compare({"first": X}, {"second": -X}, "linear_cka").values.round(6)
array([[1.]])
"""

from __future__ import annotations

from collections.abc import Callable

from tb_modelcompare.similarity import alignment as align
from tb_modelcompare.similarity.behaviour import (
    disagreement,
    error_consistency,
    jensen_shannon_divergence,
)
from tb_modelcompare.similarity.ceiling import seed_ceiling
from tb_modelcompare.similarity.comparison import Comparison, Match
from tb_modelcompare.similarity.dimension import effective_dimension
from tb_modelcompare.similarity.engine import ComparisonCancelled, compare
from tb_modelcompare.similarity.measures import MEASURES
from tb_modelcompare.similarity.measures.cca import mean_cca, r2_cca, whitened_correlation
from tb_modelcompare.similarity.measures.cka import linear_cka, unbiased_linear_cka
from tb_modelcompare.similarity.measures.cosine_neighbours import mutual_knn_cosine
from tb_modelcompare.similarity.measures.matching import (
    one_to_one_matching,
    semi_matching,
    soft_matching,
)
from tb_modelcompare.similarity.measures.neighbours import cknna, mutual_knn
from tb_modelcompare.similarity.measures.rbf import rbf_cka, unbiased_rbf_cka
from tb_modelcompare.similarity.measures.regression import (
    cross_validated_regression,
    linear_regression,
)
from tb_modelcompare.similarity.measures.rsa import rsa
from tb_modelcompare.similarity.measures.shape import procrustes, shape_metric
from tb_modelcompare.similarity.measures.svcca import pwcca, svcca
from tb_modelcompare.similarity.minibatch import MinibatchCKA
from tb_modelcompare.similarity.progressive import Estimate, refine
from tb_modelcompare.similarity.registry import INVARIANCES, Measure
from tb_modelcompare.similarity.significance import effective_rows
from tb_modelcompare.similarity.streaming import MomentStream, accumulate, accumulate_shards

__all__ = [
    "INVARIANCES",
    "MEASURES",
    "Comparison",
    "ComparisonCancelled",
    "Estimate",
    "Match",
    "Measure",
    "MinibatchCKA",
    "MomentStream",
    "accumulate",
    "accumulate_shards",
    "align",
    "cknna",
    "compare",
    "cross_validated_regression",
    "disagreement",
    "effective_dimension",
    "effective_rows",
    "error_consistency",
    "jensen_shannon_divergence",
    "linear_cka",
    "linear_regression",
    "mean_cca",
    "mutual_knn",
    "mutual_knn_cosine",
    "one_to_one_matching",
    "procrustes",
    "pwcca",
    "r2_cca",
    "rbf_cka",
    "refine",
    "rsa",
    "seed_ceiling",
    "semi_matching",
    "shape_metric",
    "soft_matching",
    "svcca",
    "unbiased_linear_cka",
    "unbiased_rbf_cka",
    "whitened_correlation",
]

# Every measure is a function of its name, such as `rsa_pearson` for `rsa(…, comparison="pearson")`.
__all__ += [name for name in MEASURES if name not in __all__]


def __getattr__(name: str) -> Callable[..., float]:
    if name not in MEASURES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return MEASURES[name].function


def __dir__() -> list[str]:
    return sorted(__all__)

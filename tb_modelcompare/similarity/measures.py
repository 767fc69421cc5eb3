"""All measures by name."""

from __future__ import annotations

from tb_modelcompare.similarity.cca import MEAN_CCA, R2_CCA, WHITENED_CORRELATION
from tb_modelcompare.similarity.cka import LINEAR_CKA, UNBIASED_LINEAR_CKA
from tb_modelcompare.similarity.registry import Measure

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (LINEAR_CKA, UNBIASED_LINEAR_CKA, WHITENED_CORRELATION, MEAN_CCA, R2_CCA)
}
"""The measures that `compare` knows, the default first."""

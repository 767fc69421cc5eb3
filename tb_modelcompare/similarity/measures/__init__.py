"""All measures by name."""

from __future__ import annotations

from tb_modelcompare.similarity.measures import (
    cca,
    cka,
    matching,
    neighbours,
    regression,
    rsa,
    shape,
    svcca,
)
from tb_modelcompare.similarity.registry import Measure

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        cka.LINEAR_CKA,
        cka.UNBIASED_LINEAR_CKA,
        rsa.RBF_CKA,
        cca.WHITENED_CORRELATION,
        cca.MEAN_CCA,
        cca.R2_CCA,
        svcca.SVCCA,
        svcca.SVCCA_R2,
        svcca.PWCCA_X,
        svcca.PWCCA_Y,
        shape.PROCRUSTES,
        shape.PROCRUSTES_ANGLE,
        shape.PROCRUSTES_DISTANCE,
        shape.SHAPE_METRIC,
        regression.REGRESSION_X_TO_Y,
        regression.REGRESSION_Y_TO_X,
        regression.HELD_OUT_X_TO_Y,
        regression.HELD_OUT_Y_TO_X,
        rsa.RSA_PEARSON,
        rsa.RSA_SPEARMAN,
        rsa.RSA_COSINE,
        neighbours.MUTUAL_KNN,
        neighbours.CKNNA,
        matching.ONE_TO_ONE_MATCHING,
        matching.SOFT_MATCHING,
        matching.SEMI_MATCHING_X_TO_Y,
        matching.SEMI_MATCHING_Y_TO_X,
    )
}
"""The measures that `compare` knows, the default first."""

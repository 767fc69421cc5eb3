"""Directions of one layer in terms of another."""

from __future__ import annotations

import warnings
from typing import Any

from tb_modelcompare.analogy.correlation import DirectionCorrelation, direction_correlation
from tb_modelcompare.analogy.directions import (
    decoder_direction,
    pattern_direction,
    predict_direction,
    residual_direction,
)
from tb_modelcompare.analogy.prediction import best_unit, prediction_r2

__all__ = [
    "DirectionCorrelation",
    "best_unit",
    "decoder_direction",
    "direction_correlation",
    "pattern_direction",
    "predict_direction",
    "prediction_r2",
    "residual_direction",
]


def __getattr__(name: str) -> Any:
    if name != "difference_direction":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "difference_direction is called residual_direction now; the old name will go.",
        DeprecationWarning,
        stacklevel=2,
    )
    return residual_direction

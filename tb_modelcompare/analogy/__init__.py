"""Directions of one layer in terms of another."""

from __future__ import annotations

from tb_modelcompare.analogy.correlation import DirectionCorrelation, direction_correlation
from tb_modelcompare.analogy.directions import (
    decoder_direction,
    difference_direction,
    pattern_direction,
    predict_direction,
)
from tb_modelcompare.analogy.prediction import best_unit, prediction_r2

__all__ = [
    "DirectionCorrelation",
    "best_unit",
    "decoder_direction",
    "difference_direction",
    "direction_correlation",
    "pattern_direction",
    "predict_direction",
    "prediction_r2",
]

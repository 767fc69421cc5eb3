"""Directions of one layer in terms of another."""

from __future__ import annotations

from tb_modelcompare.analogy.directions import (
    best_unit,
    difference_direction,
    predict_direction,
    prediction_r2,
)

__all__ = ["best_unit", "difference_direction", "predict_direction", "prediction_r2"]

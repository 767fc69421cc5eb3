"""Many snapshots: training over steps, two trainings against one another, maps of models.

`docs/how-to/follow_a_training.md` says how to read what comes out.

Examples
--------
A run of several steps, and from which step on each of its layers is frozen::

    from tb_modelcompare import training
    from tb_modelcompare.log.reader import open_steps

    found = training.trend(open_steps("logs", "resnet"))
    training.freezing_steps(found.values, found.steps, threshold=0.9)
"""

from __future__ import annotations

from tb_modelcompare.training.embedding import Embedding, embed
from tb_modelcompare.training.models import METRICS, Metric, Models, model_distances
from tb_modelcompare.training.pairs import Work
from tb_modelcompare.training.steps import (
    StepMap,
    Trend,
    freezing_steps,
    freezing_threshold,
    step_map,
    trend,
)

__all__ = [
    "METRICS",
    "Embedding",
    "Metric",
    "Models",
    "StepMap",
    "Trend",
    "Work",
    "embed",
    "freezing_steps",
    "freezing_threshold",
    "model_distances",
    "step_map",
    "trend",
]

"""From a direction of one layer to the directions that answer to it in others.

Each comes with the correlation of the activity along it, on images that it was not fitted to.
Every predicted direction is kept in the cache as soon as it is known.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.jobs.runtime.progress import npy_bytes
from tb_modelcompare.jobs.runtime.records import BestUnit, DrawnDirection, JobItem
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.snapshot import Snapshot

# How many units are regressed at once.
_REGRESSION_UNITS = 4096
_DIRECTION = "direction.npy"

Vector = npt.NDArray[np.float64]
Answer = Literal["regression", "pattern", "decoder"]


class Prediction(msgspec.Struct):
    """What is known of a layer beside its picture."""

    drawn: DrawnDirection
    r2: float
    best_unit: BestUnit
    problem: str | None


@dataclass(frozen=True, eq=False)
class Regression:
    """The source's activations (rows × units), a direction over its units, and the targets.

    `answer` says which direction of a target answers, `response` is the rows' activity along the
    direction, `layers` has the source first, and `keys` those under which the predicted
    directions are kept.
    """

    activations: npt.NDArray[np.float32]
    direction: Vector
    answer: Answer
    response: Vector
    images: npt.NDArray[np.intp]
    layers: Sequence[tuple[Snapshot, str]]
    keys: Sequence[str]
    workplace: Workplace

    @classmethod
    def of(
        cls,
        layers: Sequence[tuple[Snapshot, str]],
        pairs: Sequence[tuple[int, float]],
        answer: Answer,
        residual_of: tuple[Snapshot, str] | None,
        keys: Sequence[str],
        workplace: Workplace,
    ) -> Regression:
        """Of a direction by pairs (unit, weight), or of what the layer `residual_of` leaves."""
        from tb_modelcompare.analogy.directions import residual_direction
        from tb_modelcompare.analogy.prediction import prediction_r2

        source, layer = layers[0]
        activations = source.activations(layer)
        direction = np.zeros(activations.shape[1])
        for unit, weight in pairs:
            direction[unit] = weight
        images = source.image_of_row()
        if residual_of is not None:
            snapshot, other_layer = residual_of
            other = snapshot.activations(other_layer)
            response = np.asarray(activations @ direction, np.float64)
            r2 = float(prediction_r2(other, response, groups=images)[0])
            workplace.progress.items[0].r2 = r2
            direction = residual_direction(activations, other, direction)
        response = np.asarray(activations @ direction, np.float64)
        return cls(activations, direction, answer, response, images, layers, keys, workplace)

    def recall(self, i: int) -> bool:
        """Whether the direction in layer `i` is known, and if so what else is."""
        return recall_prediction(
            self.workplace.progress.items[i], self.keys[i], self.workplace.cache
        )

    def directions(self, batch: Sequence[int]) -> dict[int, Vector]:
        """The predicted direction in each layer; what goes with it goes into the layer's item."""
        found = {}
        for i in batch:
            content = self.workplace.cache.read(self.keys[i], _DIRECTION)
            if content is not None and self.recall(i):
                found[i] = np.load(io.BytesIO(content), allow_pickle=False)
        for together in self._up_to_units([i for i in batch if i not in found]):
            found.update(self._regressed(together))
        return found

    def _regressed(self, batch: Sequence[int]) -> dict[int, Vector]:
        """The same, computed: the source's regression is solved once for layers side by side."""
        from tb_modelcompare.analogy.correlation import direction_correlations
        from tb_modelcompare.analogy.prediction import best_unit

        layers = [self.layers[i] for i in batch]
        targets = [snapshot.activations(layer) for snapshot, layer in layers]
        answers = self._answers(targets)
        correlations = direction_correlations(
            self.activations, targets, self.direction, direction=self.answer, groups=self.images
        )
        for i, target, answer, along in zip(batch, targets, answers, correlations, strict=True):
            best, correlation = best_unit(target, self.response)
            item = self.workplace.progress.items[i]
            item.drawn = DrawnDirection(self.answer, along.value, along.low, along.high, along.null)
            item.best_unit = BestUnit(int(best), float(correlation))
            item.problem = None if answer.any() else self._why_none()
        return dict(zip(batch, answers, strict=True))

    def rate(self, directions: Mapping[int, Vector]) -> None:
        """Tell the items how well their layers predict the direction, and keep what is known.

        This takes longer than the directions, and no picture has to wait for it.
        """
        from tb_modelcompare.analogy.prediction import prediction_r2

        job, cache = self.workplace.progress, self.workplace.cache
        for i, direction in directions.items():
            item = job.items[i]
            if i == 0 or item.r2 is not None:
                continue
            job.check()
            snapshot, layer = self.layers[i]
            target = snapshot.activations(layer)
            item.r2 = float(prediction_r2(target, self.response, groups=self.images)[0])
            assert item.drawn is not None  # `directions` told it
            assert item.best_unit is not None
            known = Prediction(item.drawn, item.r2, item.best_unit, item.problem)
            cache.put(self.keys[i], {_DIRECTION: npy_bytes(direction)}, msgspec.to_builtins(known))

    def _answers(self, targets: Sequence[npt.NDArray[np.float32]]) -> list[Vector]:
        """The direction of each target that answers."""
        from tb_modelcompare.analogy.directions import (
            decoder_direction,
            pattern_direction,
            predict_direction,
        )

        if self.answer == "regression":
            predicted = predict_direction(self.activations, np.hstack(targets), self.direction)
            ends = np.cumsum([target.shape[1] for target in targets])
            return np.split(predicted, ends[:-1])
        of_target = pattern_direction if self.answer == "pattern" else decoder_direction
        return [of_target(self.activations, target, self.direction) for target in targets]

    def _why_none(self) -> str:
        """Why no direction of a layer answers: the uncentred regression needs other than zeros,
        and the other two need something that varies."""
        if self.answer == "regression":
            silent = "this layer" if self.response.any() else "the unit"
            return f"{silent} is 0 on the whole probe, so no direction answers to it"
        silent = "this layer" if np.ptp(self.response) > 0 else "the unit"
        return f"{silent} does not vary on the probe, so no direction answers to it"

    def _up_to_units(self, batch: Sequence[int]) -> list[list[int]]:
        """Consecutive layers, in groups of as many as have `_REGRESSION_UNITS` together."""
        groups: list[list[int]] = []
        room = 0
        for i in batch:
            snapshot, layer = self.layers[i]
            width = snapshot.layer(layer).units
            if width > room or not groups:
                groups.append([])
                room = _REGRESSION_UNITS
            groups[-1].append(i)
            room -= width
        return groups


def recall_prediction(item: JobItem, key: str, cache: ResultCache) -> bool:
    """Whether the direction of this key is known; the item then has what else is known of it."""
    report = cache.report(key)
    if report is not None:
        known = msgspec.convert(report, Prediction)
        item.drawn, item.r2 = known.drawn, known.r2
        item.best_unit, item.problem = known.best_unit, known.problem
    return report is not None

"""Whether what a model computes on the probe looks as if it was shown what it wants.

Thresholds are from GoogLeNet and two MobileNets, which were shown 40 photos with the preprocessing
that is theirs and with others. With theirs, the median entropy of the answers was at most 0.05 of
its largest value, at most 0.34 of a layer's units were constant, and at most 0.04 of its values
were at a cap. With others it was up to 0.59, 0.70 and 0.40.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tb_modelcompare.capture.contract import Recording
from tb_modelcompare.errors import ImplausibleOutputsWarning
from tb_modelcompare.errors.checks import first_named
from tb_modelcompare.log.class_outputs import (
    Probabilities,
    are_probabilities,
    as_probabilities,
    output_node,
    top_1,
)
from tb_modelcompare.probe.preprocessing_words import in_words
from tb_modelcompare.probe.sampling import Floats, Sampled

_FEWEST_IMAGES = 20
_FEWEST_CLASSES = 10
_FEWEST_UNITS = 8
_FLAT = 0.35  # of the logarithm of the number of classes
_CONSTANT = 0.5  # of a layer's units
_AT_CAP = 0.2  # of a layer's values
_CHANCE = 0.05
_NAMED = 3


@dataclass(eq=False)
class _Range:
    """Of a layer so far: least and largest value of each unit, and how often the largest of all."""

    low: Floats
    high: Floats
    top: float = -np.inf
    at_top: int = 0
    values: int = 0

    def add(self, rows: Floats) -> None:
        self.low, self.high = np.minimum(self.low, rows.min(0)), np.maximum(self.high, rows.max(0))
        top = float(self.high.max())
        at_top = int((rows == top).sum())
        self.at_top = at_top + (self.at_top if top == self.top else 0)
        self.top = top
        self.values += rows.size


@dataclass(eq=False)
class Observed:
    """What a recording gave, seen while it was logged."""

    recording: Recording
    ranges: dict[str, _Range] = field(default_factory=dict)
    answers: list[Floats] = field(default_factory=list)

    def watching(self, batches: Iterator[list[Sampled]]) -> Iterator[list[Sampled]]:
        """The same batches; each is looked at when it passes."""
        layers, probe = self.recording.layers, self.recording.probe
        first_rows = np.flatnonzero(np.diff(probe.image_of_row, prepend=-1))
        start = 0
        for batch in batches:
            if start == 0:
                vectors = {
                    layer
                    for layer, sampled in zip(layers, batch, strict=True)
                    if sampled.spatial is None
                }
                node = output_node(self.recording.model.graph, vectors)
            rows = len(batch[0].values)
            chosen = first_rows[(first_rows >= start) & (first_rows < start + rows)] - start
            for layer, sampled in zip(layers, batch, strict=True):
                if not np.isfinite(sampled.values).all():
                    self.ranges.pop(layer, None)
                    continue
                if start == 0:
                    none = np.full(sampled.values.shape[1], np.inf, np.float32)
                    self.ranges[layer] = _Range(none, -none)
                if layer in self.ranges:
                    self.ranges[layer].add(sampled.values)
                if node is not None and layer == node.name:
                    self.answers.append(sampled.values[chosen])
            start += rows
            yield batch
        self.node = node

    def probabilities(self) -> Probabilities | None:
        """What the model answers for each image, if it is a classifier."""
        if sum(map(len, self.answers)) != len(self.recording.probe):
            return None
        assert self.node is not None
        return as_probabilities(np.concatenate(self.answers), self.node)

    def _are_probabilities(self) -> bool:
        """Whether answers sum to 1, and not what a linear layer gives, which may be features."""
        return all(map(are_probabilities, self.answers))

    def top_1(self) -> float | None:
        """The share of images that the model names rightly, if that can be known."""
        labels, probabilities = self.recording.probe.labels, self.probabilities()
        if labels is None or probabilities is None:
            return None
        return top_1(probabilities, labels.classes)

    def accuracy(self) -> str:
        """That share in words, or why there is none although there are labels; else nothing."""
        share = self.top_1()
        if share is not None:
            return f"top-1 {share:.1%}"
        labels, probabilities = self.recording.probe.labels, self.probabilities()
        if labels is None or probabilities is None:
            return ""
        return (
            f"no top-1: a label is class {labels.classes.max()}, and the model has the classes 0 "
            f"to {probabilities.shape[1] - 1}"
        )

    def warn(self, name: str, stacklevel: int) -> None:
        """Warn the caller `stacklevel` calls above of what does not look right."""
        if len(self.recording.probe) < _FEWEST_IMAGES:
            return
        said = [*self._of_answers(), *self._of_layers()]
        if said:
            warnings.warn(
                f"{name!r}: {'; '.join(said)}. Check the preprocessing: {self._shown()}",
                ImplausibleOutputsWarning,
                stacklevel=stacklevel,
            )

    def _of_answers(self) -> Iterator[str]:
        probabilities, labels = self.probabilities(), self.recording.probe.labels
        if probabilities is None or (labels is None and not self._are_probabilities()):
            return
        classes = probabilities.shape[1]
        logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
        entropy = float(np.median(-(probabilities * logarithms).sum(1)) / np.log(classes))
        if entropy > _FLAT and classes >= _FEWEST_CLASSES:
            yield (
                f"its answers are flat, as those of an untrained model: their median entropy is "
                f"{entropy:.2f} of that of {classes} equal classes"
            )
        share = self.top_1()
        if share is not None and labels is not None:
            import scipy.stats

            there, right = len(np.unique(labels.classes)), round(share * len(probabilities))
            p = scipy.stats.binom.sf(right - 1, len(probabilities), 1 / there)
            if there > 1 and p > _CHANCE:
                yield (
                    f"it names {right} of {len(probabilities)} images rightly, as chance does; the "
                    f"order of its classes may also be another than that of the labels"
                )

    def _of_layers(self) -> Iterator[str]:
        wide = {layer: one for layer, one in self.ranges.items() if len(one.low) >= _FEWEST_UNITS}
        constant = {n: float((one.low == one.high).mean()) for n, one in wide.items()}
        capped = {n: one.at_top / one.values for n, one in wide.items() if one.top > 0}
        for shares, least, what in (
            (constant, _CONSTANT, "of the units are constant"),
            (capped, _AT_CAP, "of the values are at the largest"),
        ):
            over = sorted((n for n in shares if shares[n] > least), key=lambda n: -shares[n])
            if over:
                named = first_named([f"{shares[n]:.0%} in {n}" for n in over], _NAMED)
                yield f"many {what} ({named})"

    def _shown(self) -> str:
        preprocessing = self.recording.preprocessing
        if preprocessing is None:
            return "the model is shown the arrays of the probe as they are"
        return f"of a pixel, {in_words(preprocessing)}"

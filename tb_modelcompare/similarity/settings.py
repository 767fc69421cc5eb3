"""What the caller of `compare` chose about the work, not about the measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import OptionError
from tb_modelcompare.errors.checks import one_of, whole
from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import Layer

Precision = Literal["auto", "single", "double"]
PRECISIONS: tuple[Precision, ...] = ("auto", "single", "double")


MEMORY = 2**30
"""Bytes for work arrays, where the caller does not say."""


LEAST_RESAMPLES = 5
"""Fewer say nothing about the ends of an interval."""


class ComparisonCancelled(Exception):  # noqa: N818 - it was asked for, it is no error
    """`cancelled()` returned True."""


@dataclass(frozen=True)
class Settings:
    precision: Precision
    memory: int
    progress: Callable[[float], None] | None
    cancelled: Callable[[], bool] | None

    def __post_init__(self) -> None:
        one_of("precision", self.precision, PRECISIONS)
        whole("memory", self.memory, least=1)
        for name in ("progress", "cancelled"):
            called = getattr(self, name)
            if called is not None and not callable(called):
                raise OptionError(f"{name} is {called!r}; it must be a function, or None.")

    def dtype(self, layers: Sequence[Layer]) -> npt.DTypeLike:
        if self.precision == "auto":
            wide = any(layer.values.dtype.itemsize > 4 for layer in layers)
            return np.float64 if wide else np.float32
        return np.float32 if self.precision == "single" else np.float64

    def without_progress(self) -> Settings:
        """For work that is not part of what was announced, and can be cancelled."""
        return replace(self, progress=None)

    def tick(self, total: float) -> products.Tick:
        """Counts work done towards `total`; reports it, and stops when cancelled."""
        done = 0.0

        def count(amount: float) -> None:
            nonlocal done
            done += amount
            if self.cancelled is not None and self.cancelled():
                raise ComparisonCancelled
            if self.progress is not None:
                self.progress(min(done / total, 1.0))

        return count

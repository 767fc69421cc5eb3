"""Tokens that a model itself takes for padding, where the probe has rows of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.sampling import Mask

# Items (n, length, …) → which of their tokens are real; None where the model has no padding.
OwnMask = Callable[[npt.NDArray[Any]], Mask | None]

_ITEMS_AT_ONCE = 4096


def no_mask(items: npt.NDArray[Any]) -> None:
    """Of models that say nothing of padding."""


def warn_of_padding(probe: Probe, own_mask: OwnMask) -> None:
    """Warn where rows of the probe are at tokens that the model leaves out as padding."""
    padded = 0
    for start in range(0, len(probe), _ITEMS_AT_ONCE):
        items = probe.images[start : start + _ITEMS_AT_ONCE]
        real = own_mask(items)
        if real is None:
            return
        there = (probe.image_of_row >= start) & (probe.image_of_row < start + len(items))
        tokens = np.floor(probe.positions[there, 0] * real.shape[1]).astype(np.intp)
        padded += int((~real[probe.image_of_row[there] - start, tokens]).sum())
    if padded:
        warnings.warn(
            f"{padded} of {probe.rows} rows are at tokens that the model takes for padding, and "
            f"their values say nothing of it; make the probe with pad_id=, or mask=",
            stacklevel=5,
        )

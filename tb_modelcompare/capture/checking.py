"""The self-check: of two items, what is logged is compared with the framework's own forward pass.

The reference comes by another way than the log: from the unmodified model, read at the positions
by loops that share no code with the sampling. A matrix of wrong values, of the wrong rows or of
the wrong axis does not pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, SelfCheckWarning
from tb_modelcompare.errors.checks import first_named
from tb_modelcompare.probe.sampling import Floats, Mask, Reduction, Sampled

# Two items show whether a batch's items are mixed up.
CHECKED = 2
# Of the largest value of a layer: float32 sums in another order differ by 1e-7 to 1e-4.
TOLERANCE = 1e-3
HALF_TOLERANCE = 5e-2  # of a layer in half precision, or translated from one
_NAMED = 5


@dataclass(frozen=True)
class Reference:
    """What the framework gives for one layer.

    Attributes
    ----------
    values : sequence of arrays (items, positions …, units)
        More than one where a layer was called several times and it is not known which is which.
    units : int, optional
        As the layer's own attributes say.
    is_half : bool
        The layer computes in 16 bits.
    """

    values: Sequence[npt.NDArray[Any]]
    units: int | None = None
    is_half: bool = False


def problems(
    layers: Sequence[str],
    logged: Sequence[Sampled],
    references: Mapping[str, Reference],
    positions: npt.NDArray[np.float64],
    reduction: Reduction,
    mask: Mask | None = None,
) -> dict[str, str]:
    """What is wrong with each layer that is logged otherwise than the framework computes it.

    Parameters
    ----------
    layers : sequence of str
    logged : sequence of Sampled
        One for each layer; their first rows are those at `positions`.
    references : mapping of layer to Reference
        Layers that are not in it are passed over.
    positions : array (items, k, 2)
    reduction : Reduction
    mask : array (items, length), optional
        Which tokens are real.
    """
    found: dict[str, str] = {}
    for layer, sampled in zip(layers, logged, strict=True):
        reference = references.get(layer)
        if reference is None:
            continue
        units = sampled.values.shape[1]
        if reference.units not in (None, units) and reduction != "flatten":
            found[layer] = f"has {units} units in the log, and says itself {reference.units}"
            continue
        gaps = [
            _gap(sampled, _expected(values, positions, sampled, reduction, mask))
            for values in reference.values
        ]
        gap = min(gaps, default=0.0)
        if not gap <= (HALF_TOLERANCE if reference.is_half else TOLERANCE):
            found[layer] = (
                "has another shape in the log"
                if gap == np.inf
                else f"differs in the log by {gap:.2g} of its largest value"
            )
    return found


def _expected(
    values: npt.NDArray[Any],
    positions: npt.NDArray[np.float64],
    sampled: Sampled,
    reduction: Reduction,
    mask: Mask | None,
) -> Floats | None:
    """The rows at the positions, one after the other; None where the map cannot be that."""
    count, per_item = positions.shape[:2]
    if reduction == "flatten" or values.ndim <= 2:
        rows = values.reshape(count, -1)
    elif reduction == "mean":
        real = _real(values, mask)
        rows = np.stack(
            [
                values[item, real[item]].reshape(-1, values.shape[-1]).mean(axis=0, dtype=float)
                for item in range(count)
            ]
        )
    elif reduction in ("first", "last") and values.ndim == 3:
        at = 0 if reduction == "first" else -1
        real = _real(values, mask)
        rows = np.stack([values[item, np.flatnonzero(real[item])[at]] for item in range(count)])
    else:
        tokens = values.reshape(count, -1, values.shape[-1])
        height, width = sampled.spatial or (0, 0)
        before = tokens.shape[1] - height * width  # a class token
        if before not in (0, 1) or (values.ndim == 4 and values.shape[1:3] != (height, width)):
            return None
        return np.array(
            [
                tokens[item, before + int(u * height) * width + int(v * width)]
                for item in range(count)
                for u, v in positions[item]
            ],
            np.float32,
        )
    return np.repeat(rows, per_item, axis=0).astype(np.float32)


def _real(values: npt.NDArray[Any], mask: Mask | None) -> Mask:
    """Which entries along the first axis of each item are real: those of any real token."""
    length = values.shape[1]
    if mask is None:
        return np.ones((len(values), length), bool)
    given = mask.shape[1]
    return np.array(
        [
            [one[i * given // length : -(-(i + 1) * given // length)].any() for i in range(length)]
            for one in mask
        ]
    )


def _gap(sampled: Sampled, expected: Floats | None) -> float:
    """The largest difference, of the largest value; infinite if the shapes differ.

    Values that are no numbers must be so in both.
    """
    if expected is None or sampled.values.shape[1:] != expected.shape[1:]:
        return float("inf")
    logged = sampled.values[: len(expected)]
    finite = np.isfinite(expected)
    if logged.shape != expected.shape or not np.array_equal(finite, np.isfinite(logged)):
        return float("inf")
    largest = float(np.abs(expected[finite]).max(initial=0.0))
    difference = float(np.abs(expected[finite] - logged[finite]).max(initial=0.0))
    return difference / max(largest, 1e-6)


def refuse(wrong: Mapping[str, str]) -> None:
    """Raise for layers that failed the check on the two items alone.

    Raises
    ------
    ActivationError
        Always; it names the layers.
    """
    named = first_named([f"{layer!r} {what}" for layer, what in wrong.items()], _NAMED, "; ")
    raise ActivationError(
        f"nothing is logged, as {CHECKED} items do not agree with the framework's own forward "
        f"pass: layer {named}; leave these out with layers=, and report it please"
    )


def warn_of_mixed(wrong: Mapping[str, str]) -> None:
    """Say which layers are another thing in a batch of other items."""
    warnings.warn(
        f"{_names(wrong)}: what an item gives depends on the other items of its batch, or on "
        f"random numbers; such layers can be compared between snapshots of one batch_size alone",
        SelfCheckWarning,
        stacklevel=2,
    )


def warn_of_unchecked(layers: Sequence[str]) -> None:
    """Say which layers nothing could be compared with."""
    warnings.warn(
        f"not checked against the framework's own forward pass, which does not show it: "
        f"{_names(layers)}",
        SelfCheckWarning,
        stacklevel=2,
    )


def _names(layers: Sequence[str] | Mapping[str, str]) -> str:
    return first_named(list(layers), _NAMED)

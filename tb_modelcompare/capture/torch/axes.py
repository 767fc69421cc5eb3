"""What the axes of a torch tensor are: items, units, positions; and how they become rows.

An axis is a sequence of factors, as a reshape may have merged several axes into one: the first
axis of `x.reshape(n * t, d)` holds the factors n and t. A later reshape takes it apart again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

ITEMS, UNITS, POSITIONS, UNKNOWN = "items", "units", "positions", "unknown"
# A layer that works along an axis of positions (a mixer's dense layer over tokens) has units there,
# and the former units are its positions. Beside a tensor that says otherwise, these give way.
BORROWED_UNITS, BORROWED_POSITIONS = "borrowed units", "borrowed positions"
# Positions that were rolled, mirrored or mixed: which is where is not followed.
MOVED = "moved"
_STRENGTH = {ITEMS: 2, UNITS: 2, POSITIONS: 2, BORROWED_UNITS: 1, BORROWED_POSITIONS: 1}

# The key of positions along one line that was no axis of the image.
LINE = (-1,)
# Keys from here on are those of tokens, whose number alone tells if they are a square map, and of
# unknown axes. Below are the image's height and width.
TOKENS = (1000,)
FIRST_KEY = 1001


@dataclass(frozen=True)
class Factor:
    """A role and a size. The key says which axis it came from, and which part of that axis."""

    role: str
    size: int
    key: tuple[int, ...] = ()


Axis = tuple[Factor, ...]
Axes = tuple[Axis, ...]


def strength(axis: Axis) -> int:
    """How surely the roles of an axis are known; one of size 1 has none."""
    return min((_STRENGTH.get(factor.role, 0) for factor in axis), default=0)


def resized(axis: Axis, size: int) -> Axis:
    """The axis at another size: the same role, and the same positions, more or fewer of them."""
    if size_of(axis) == size:
        return axis
    found = roles(axis)
    if len(found) != 1 or ITEMS in found:
        return (Factor(MOVED, size),)
    key = axis[0].key[:1] if len(axis) == 1 else TOKENS
    return (Factor(axis[0].role, size, key),)


def regrouped(axes: Axes, sizes: Sequence[int]) -> Axes | None:
    """The axes after a reshape to `sizes`; None where it cannot be followed."""
    left = [factor for axis in axes for factor in axis if factor.size > 1]
    found: list[Axis] = []
    for size in sizes:
        axis: list[Factor] = []
        missing = size
        while missing > 1:
            if not left:
                return None
            factor = left.pop(0)
            if factor.size > missing and factor.size % missing == 0:
                rest = replace(factor, size=factor.size // missing, key=(*factor.key, 1))
                left.insert(0, rest)
                factor = replace(factor, size=missing, key=(*factor.key, 0))
            if missing % factor.size:
                return None
            missing //= factor.size
            axis.append(factor)
        found.append(tuple(axis))
    return None if left else tuple(found)


def new_units(size: int) -> Axis:
    return (Factor(UNITS, size),)


def as_moved(factor: Factor) -> Factor:
    return replace(factor, role=MOVED) if factor.role in (POSITIONS, UNKNOWN) else factor


def with_roles(axis: Axis, roles: Mapping[str, str]) -> Axis:
    return tuple(replace(factor, role=roles.get(factor.role, factor.role)) for factor in axis)


def replaced(axes: Axes, at: int, axis: Axis) -> Axes:
    return (*axes[:at], axis, *axes[at + 1 :])


def all_resized(axes: Axes, shape: Sequence[int]) -> Axes:
    return tuple(resized(axis, size) for axis, size in zip(axes, shape, strict=True))


def roles(axis: Axis) -> set[str]:
    return {factor.role for factor in axis}


def is_only(axis: Axis, role: str) -> bool:
    return len(axis) == 1 and axis[0].role == role


def has(axes: Axes, role: str) -> bool:
    return any(factor.role == role for axis in axes for factor in axis)


def is_known(axis: Axis) -> bool:
    return all(factor.role != UNKNOWN for factor in axis)


def size_of(axis: Axis) -> int:
    return math.prod(factor.size for factor in axis)


def sizes_of(axes: Axes) -> tuple[int, ...]:
    return tuple(map(size_of, axes))


@dataclass(frozen=True)
class Arrangement:
    """How an output is brought to (items, positions …, units).

    Attributes
    ----------
    given : tuple of int
        The output's own shape, when `items` were given.
    split : tuple of int
        The sizes of all factors; -1 stands for the items.
    order : tuple of int
        Of the factors.
    shape : tuple of int
        Of the result, without the items.
    """

    given: tuple[int, ...]
    items: int
    split: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def fits(self, value: torch.Tensor, items: int) -> bool:
        """Whether an output is of the shape that was seen, but for the number of items."""
        if value.ndim != len(self.given):
            return False
        odd = sum(a != b for a, b in zip(self.given, value.shape, strict=True))
        size = math.prod(self.given) * items
        return int(value.numel()) * self.items == size and odd <= (items != self.items)

    def apply(self, value: torch.Tensor) -> torch.Tensor:
        """The output as (items, positions …, units)."""
        if value.ndim != len(self.split):
            value = value.reshape(self.split)
        if self.order != tuple(range(len(self.order))):
            value = value.permute(self.order)
        if tuple(value.shape[1:]) != self.shape:
            value = value.reshape(-1, *self.shape)
        return value


def arranged(axes: Axes, given: Sequence[int], sequence: bool) -> Arrangement | str:
    """How an output with these axes becomes rows, or why it cannot.

    Parameters
    ----------
    axes : Axes
    given : sequence of int
        The output's shape.
    sequence : bool
        The probe holds sequences: one axis of positions is never a map.
    """
    factors = [(i, factor) for i, axis in enumerate(axes) for factor in axis]
    named = [factor.role for _, factor in factors]
    if named.count(ITEMS) != 1:
        return "it has no axis of the probe's items"
    items = named.index(ITEMS)
    home = factors[items][0]
    if len(axes) == 2 and len(axes[home]) == 1:  # a vector, whatever it was before
        named = [role if role == ITEMS else UNITS for role in named]
    elif MOVED in named:
        return "which of its positions is which is not followed"
    elif UNKNOWN in named:
        return "which of its axes holds the units cannot be known"
    units = _units(axes, [i for i, _ in factors], named)
    positions = [k for k in range(len(factors)) if k != items and k not in units]
    positions, dims = _positions([(factors[k][0], factors[k][1], k) for k in positions], sequence)
    if len(dims) > 2:
        return f"it has {len(dims)} axes of positions and a map has two"
    width = math.prod(factors[k][1].size for k in units)
    return Arrangement(
        given=tuple(given),
        items=factors[items][1].size,
        split=tuple(-1 if k == items else factor.size for k, (_, factor) in enumerate(factors)),
        order=(items, *positions, *units),
        shape=(*dims, width) if dims or units else (),
    )


def _units(axes: Axes, homes: Sequence[int], named: Sequence[str]) -> list[int]:
    """The factors that are units. An axis of units and positions is one or the other as a whole."""
    kinds: dict[int, set[bool]] = {}
    for home, role in zip(homes, named, strict=True):
        if role != ITEMS:
            kinds.setdefault(home, set()).add(role in (UNITS, BORROWED_UNITS))
    pure = any(kind == {True} for kind in kinds.values())
    return [
        k
        for k, (home, role) in enumerate(zip(homes, named, strict=True))
        if role != ITEMS and (kinds[home] == {True} or (len(kinds[home]) == 2 and not pure))
    ]


def _positions(
    factors: Sequence[tuple[int, Factor, int]], sequence: bool
) -> tuple[list[int], tuple[int, ...]]:
    """Positions in the order of the image (factor numbers), and the sizes of their axes.

    `factors` are (axis, factor, number). Windows of an image are put together to the image.
    """
    keys = [factor.key for _, factor, _ in factors]
    if len(set(keys)) == len(keys):
        factors = sorted(factors, key=lambda one: one[1].key)
        groups = [factor.key[0] for _, factor, _ in factors]
    else:
        groups = [axis for axis, _, _ in factors]
    sizes: dict[int, int] = {}
    for group, (_, factor, _) in zip(groups, factors, strict=True):
        sizes[group] = sizes.get(group, 1) * factor.size
    dims = tuple(sizes.values())
    one_axis = len({axis for axis, _, _ in factors}) == 1
    if len(dims) == 2 and one_axis and dims[0] == dims[1]:
        dims = (dims[0] * dims[1],)  # the tokens of a square map: read as one all the same
    elif len(dims) == 1 and not sequence and groups[0] < TOKENS[0]:
        dims = (*dims, 1)  # a line is no square map, even where its length is a square number
    return [number for _, _, number in factors], dims

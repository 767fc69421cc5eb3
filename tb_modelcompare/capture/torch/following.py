"""Follows what the axes of tensors are, from one torch function to the next, while a module runs.

Whatever calls a function (a module, the user's code, a module inside a traced graph), torch shows
it to the `Follower`. A convolution says that axis 1 holds units, a linear layer that the last one
does, a transposition moves them; most functions leave the axes as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from tb_modelcompare.capture.torch import functions
from tb_modelcompare.capture.torch.axes import (
    BORROWED_POSITIONS,
    BORROWED_UNITS,
    FIRST_KEY,
    ITEMS,
    LINE,
    MOVED,
    POSITIONS,
    UNITS,
    UNKNOWN,
    Axes,
    Axis,
    Factor,
    all_resized,
    as_moved,
    has,
    is_known,
    is_only,
    new_units,
    regrouped,
    replaced,
    resized,
    roles,
    size_of,
    sizes_of,
    strength,
    with_roles,
)
from tb_modelcompare.capture.torch.declared import likely_units
from tb_modelcompare.capture.torch.functions import name_of, tensors

# The sizes of a stand-in: no axis has them.
_ODD = 1009


@dataclass(frozen=True)
class _Use:
    """One call of a function, with tensors whose axes are known to be of interest."""

    function: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def argument(self, number: int, name: str, default: Any = None) -> Any:
        return self.args[number] if number < len(self.args) else self.kwargs.get(name, default)


class Follower(TorchFunctionMode):  # type: ignore[misc]
    """While this is entered, the axes of every tensor that depends on `items` are noted.

    Parameters
    ----------
    items : tensor
        What the module is shown.
    is_image : bool
        Images (n, c, h, w). Of other arrays nothing but the first axis is known; it is learned
        from the layers that take them.
    """

    def __init__(self, items: torch.Tensor, is_image: bool) -> None:
        super().__init__()
        self._axes: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._learned: dict[int, str] = {}
        self._keys = itertools.count(FIRST_KEY)
        axes: list[Axis] = [(Factor(ITEMS, len(items)),)]
        if is_image:
            _, channels, height, width = items.shape
            axes.append((Factor(UNITS, channels),))
            axes += [(Factor(POSITIONS, height, (0,)),), (Factor(POSITIONS, width, (1,)),)]
        else:
            axes += [self._unknown(size) for size in items.shape[1:]]
        self._axes[items] = tuple(axes)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self._note(_Use(func, name_of(func), args, kwargs or {}), list(tensors(result)))
        return result

    def axes_of(self, tensor: torch.Tensor) -> Axes | None:
        """What is known by now; None of a tensor that does not depend on the items."""
        axes: Axes | None = self._axes.get(tensor)
        return axes and self.with_learned(axes)

    def with_learned(self, axes: Axes) -> Axes:
        """The axes, with what was learned of the unknown ones since."""
        return tuple(tuple(self._resolved(factor) for factor in axis) for axis in axes)

    def follow_call(
        self, module: torch.nn.Module | None, given: Sequence[torch.Tensor], value: torch.Tensor
    ) -> Axes | None:
        """The axes of what a call gives: noted, or as the module says where functions did not."""
        axes = self.axes_of(value)
        sources = [found for tensor in given if (found := self.axes_of(tensor)) is not None]
        if axes is None and not sources:
            return None
        if axes is not None and all(map(is_known, axes)):
            return axes
        axes = axes or self._all_unknown(value)
        same = [found for found in sources if sizes_of(found) == tuple(value.shape)]
        if same:  # a module that keeps the shape keeps the layout
            axes = tuple(max(pair, key=strength) for pair in zip(axes, same[0], strict=True))
        axes = self._as_declared(module, axes, tuple(value.shape), sources)
        self._axes[value] = axes
        return self.with_learned(axes)

    def _as_declared(
        self,
        module: torch.nn.Module | None,
        axes: Axes,
        shape: tuple[int, ...],
        sources: Sequence[Axes],
    ) -> Axes:
        counts = [axis[0].size for found in sources for axis in found if is_only(axis, ITEMS)]
        first = getattr(module, "batch_first", None)
        at = 0 if first is None or first else 1
        if counts and len(shape) > at and shape[at] == counts[0] and not has(axes, ITEMS):
            axes = replaced(axes, at, (Factor(ITEMS, counts[0]),))
        units = None if module is None else likely_units(module)
        if units is not None and has(axes, ITEMS) and not has(axes, UNITS):
            free = [i for i, axis in enumerate(axes) if not is_only(axis, ITEMS)]
            fitting = [i for i in free if shape[i] == units[0]]
            if units[1] % len(shape) in fitting or len(fitting) == 1:
                declared = units[1] % len(shape)
                axes = self._with_units(axes, declared if declared in fitting else fitting[0])
        return axes

    def _note(self, use: _Use, made: Sequence[torch.Tensor]) -> None:
        given = [
            (tensor, axes)
            for tensor in tensors((use.args, dict(use.kwargs)))
            if (axes := self.axes_of(tensor)) is not None
        ]
        if use.name == "__setitem__" and given:
            made = [use.args[0]] if self.axes_of(use.args[0]) is None else []
        if not given or not made:
            return
        for number, value in enumerate(made):
            try:
                axes = self._followed(use, given, value, number)
            except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
                axes = None  # called in a way that is not foreseen: what it does is unknown
            if axes is None or sizes_of(axes) != tuple(value.shape):
                axes = self._all_unknown(value)
            self._axes[value] = axes

    def _followed(
        self,
        use: _Use,
        given: Sequence[tuple[torch.Tensor, Axes]],
        value: torch.Tensor,
        number: int,
    ) -> Axes | None:
        name, shape = use.name, tuple(value.shape)
        source, axes = given[0]
        if name in functions.MOVING and len(given) == 1:
            return self._moved(use, source, axes, number)
        if name in functions.REGROUPING:
            return regrouped(axes, shape)
        if convolution := functions.CONVOLUTIONS.fullmatch(name):
            return self._convolved(axes, shape, int(convolution[1]))
        if pool := functions.POOLS.fullmatch(name):
            known = all(map(is_known, axes))
            return all_resized(axes if known else self._with_units(axes, -1 - int(pool[1])), shape)
        if name in functions.RESIZING:
            return all_resized(axes, shape)
        if name in functions.CHANNEL_NORMS:
            return self._with_units(axes, 1)
        if name in ("layer_norm", "rms_norm"):
            along_last = len(use.argument(1, "normalized_shape")) == 1
            return self._with_units(axes, -1) if along_last else axes
        if name in ("linear", "linear_dynamic"):
            return self._applied(axes, -1, shape[-1])
        if name in ("embedding", "one_hot", "embedding_bag"):
            kept = axes[:1] if name == "embedding_bag" else axes
            return (*kept, new_units(shape[-1]))
        if name in functions.PRODUCTS:
            left, right = use.args[-2:] if name.startswith("add") else use.args[:2]
            return self._multiplied(self.axes_of(left), self.axes_of(right), shape)
        if name == "__rmatmul__":
            right, left = use.args
            return self._multiplied(self.axes_of(left), self.axes_of(right), shape)
        if name == "einsum":
            return self._summed(use, shape)
        if name in ("cat", "concat", "concatenate"):
            dim = use.argument(1, "dim", use.kwargs.get("axis", 0))
            return self._joined([found for _, found in given], shape, int(dim))
        if name == "stack":
            return self._stacked(axes, shape, int(use.argument(1, "dim", 0)))
        if name == "__getitem__":
            return self._indexed(axes, use.args[1], shape)
        if name == "unfold":
            return self._unfolded(axes, shape)
        if name == "scaled_dot_product_attention":
            values = self.axes_of(use.argument(2, "value"))
            return (*axes[:-1], values[-1] if values else axes[-1])
        if name == "multi_head_attention_forward":
            return self._attended(axes, shape, number)
        if name == "index_select":
            return self._picked(axes, int(use.argument(1, "dim")), shape)
        if name in functions.RECURRENT:
            return self._recurrent(axes, shape, number)
        if name in ("flip", "fliplr", "flipud", "rot90"):
            return tuple(tuple(map(as_moved, axis)) for axis in axes)
        return self._aligned([found for _, found in given], shape)

    def _moved(self, use: _Use, source: torch.Tensor, axes: Axes, number: int) -> Axes:
        """Run the function on sizes that are all different, and see where they went."""
        sizes = [_ODD + i for i in range(source.ndim)]
        stand_in = torch.empty(sizes, dtype=source.dtype, device="meta")
        args, kwargs = (
            [stand_in if one is source else one for one in use.args],
            {key: stand_in if one is source else one for key, one in use.kwargs.items()},
        )
        seen = list(tensors(use.function(*args, **kwargs)))
        shape = seen[0 if use.name == "unbind" else number].shape
        return tuple(axes[size - _ODD] if size > 1 else () for size in shape)

    def _convolved(self, axes: Axes, shape: Sequence[int], dims: int) -> Axes:
        found = list(self._applied(axes, -1 - dims, shape[-1 - dims]))
        for j in range(dims):
            here = found[j - dims] or (Factor(POSITIONS, 1, LINE if dims == 1 else (j,)),)
            if dims == 1 and size_of(here) != shape[-1]:
                here = tuple(replace(factor, key=LINE) for factor in here[:1])
            found[j - dims] = resized(here, shape[j - dims])
        return tuple(found)

    def _applied(self, axes: Axes, at: int, size: int) -> Axes:
        """After a product with weights along an axis."""
        at %= len(axes)
        axes = self._with_units(axes, at)
        borrowed = any(factor.role == BORROWED_UNITS for factor in axes[at])
        return replaced(axes, at, (Factor(BORROWED_UNITS if borrowed else UNITS, size),))

    def _with_units(self, axes: Axes, at: int) -> Axes:
        """The axes, now that a layer is known to have its units along one of them."""
        at %= len(axes)
        for i, axis in enumerate(axes):
            for factor in axis:
                if factor.role == UNKNOWN and (i == at or has(axes, ITEMS)):
                    self._learned[factor.key[0]] = UNITS if i == at else POSITIONS
        axes = self.with_learned(axes)
        own = any(factor.role not in (POSITIONS, BORROWED_POSITIONS) for factor in axes[at])
        others = {factor.role for i, axis in enumerate(axes) if i != at for factor in axis}
        here: dict[str, str] = {}
        there = {UNITS: BORROWED_POSITIONS}
        if not own and axes[at] and UNITS in others:
            here = {POSITIONS: BORROWED_UNITS}
        elif not own:
            here = {POSITIONS: UNITS, BORROWED_POSITIONS: UNITS}
            there = {UNITS: POSITIONS, BORROWED_UNITS: POSITIONS}
        return tuple(
            with_roles(axis, here) if i == at else tuple(self._with_role(f, there) for f in axis)
            for i, axis in enumerate(axes)
        )

    def _with_role(self, factor: Factor, names: Mapping[str, str]) -> Factor:
        """The factor in its new role, with a key if it had none; as it is if `names` lacks it."""
        if factor.role not in names:
            return factor
        return replace(factor, role=names[factor.role], key=factor.key or (next(self._keys),))

    def _multiplied(self, left: Axes | None, right: Axes | None, shape: Sequence[int]) -> Axes:
        if left is not None and right is not None:
            batch = self._aligned([left[:-2], right[:-2]], shape[:-2]) or ()
            return (*batch, left[-2], right[-1])
        if left is not None:
            return self._applied(left, -1, shape[-1]) if len(left) == len(shape) else left[:-1]
        assert right is not None
        return self._applied(right, -2, shape[-2])

    def _summed(self, use: _Use, shape: Sequence[int]) -> Axes:
        terms, _, result = use.args[0].replace(" ", "").partition("->")
        operands = use.args[1] if isinstance(use.args[1], (list, tuple)) else use.args[1:]
        known: dict[str, Axis] = {}
        for term, operand in zip(terms.split(","), operands, strict=True):
            for letter, axis in zip(term, self.axes_of(operand) or (), strict=False):
                known[letter] = max(known.get(letter, ()), axis, key=strength)
        return tuple(
            known.get(letter) or new_units(size) for letter, size in zip(result, shape, strict=True)
        )

    def _joined(self, sources: Sequence[Axes], shape: Sequence[int], dim: int) -> Axes | None:
        dim %= len(shape)
        sized = [replaced(axes, dim, ()) for axes in sources]
        found = self._aligned(sized, [1 if i == dim else n for i, n in enumerate(shape)])
        roles = {factor.role for axes in sources for factor in axes[dim]}
        role = roles.pop() if len(roles) == 1 else UNKNOWN
        joined = Factor(UNKNOWN if role == ITEMS else role, shape[dim], (next(self._keys),))
        return found and replaced(found, dim, (joined,))

    def _stacked(self, axes: Axes, shape: Sequence[int], dim: int) -> Axes:
        dim %= len(shape)
        new_axis = self._new_positions if has(axes, UNITS) else self._unknown
        return (*axes[:dim], new_axis(shape[dim]), *axes[dim:])

    def _indexed(self, axes: Axes, index: Any, shape: Sequence[int]) -> Axes | None:
        parts = list(index) if isinstance(index, tuple) else [index]
        if len(parts) == 2 and all(isinstance(part, torch.Tensor) for part in parts):
            each, _ = parts  # one position of every item, as x[arange(n), last]
            if is_only(axes[0], ITEMS) and each.tolist() == list(range(axes[0][0].size)):
                return (axes[0], *axes[2:])
        picking = [i for i, part in enumerate(parts) if isinstance(part, (list, torch.Tensor))]
        if len(picking) == 1 and all(part == slice(None) for part in parts[: picking[0]]):
            plain = len(parts) == picking[0] + 1 and len(shape) == len(axes)
            return self._picked(axes, picking[0], shape) if plain else None
        if not all(part is None or isinstance(part, (int, slice, type(...))) for part in parts):
            return None
        used = sum(part is not None and part is not ... for part in parts)
        if ... not in parts:
            parts.append(...)
        rest = iter(axes)
        found: list[Axis] = []
        for part in parts:
            if part is None:
                found.append(())
            elif part is ...:
                found.extend(itertools.islice(rest, len(axes) - used))
            elif isinstance(part, slice):
                axis = next(rest)
                backwards = part.step is not None and part.step < 0
                found.append(tuple(map(as_moved, axis)) if backwards else axis)
            else:
                next(rest)
        return all_resized(tuple(found), shape)

    def _picked(self, axes: Axes, dim: int, shape: Sequence[int]) -> Axes:
        """Some entries of one axis, in any order: of units, as good as before."""
        dim %= len(axes)
        return all_resized(replaced(axes, dim, with_roles(axes[dim], {POSITIONS: MOVED})), shape)

    def _attended(self, axes: Axes, shape: Sequence[int], number: int) -> Axes:
        if number == 0:
            return (*axes[:-1], new_units(shape[-1]))
        # Weights (items, heads if they are not averaged, positions, what is attended to).
        items = next(axis for axis in axes if is_only(axis, ITEMS))
        positions = next(axis for axis in axes[:-1] if not is_only(axis, ITEMS))
        if len(shape) == 3:
            return (items, positions, new_units(shape[-1]))
        return (items, new_units(shape[1]), positions, self._new_positions(shape[-1]))

    def _unfolded(self, axes: Axes, shape: Sequence[int]) -> Axes:
        if len(shape) == len(axes) + 1:  # of a tensor: windows along one axis
            return (*all_resized(axes, shape[:-1]), self._unknown(shape[-1]))
        return (axes[0], new_units(shape[1]), (Factor(POSITIONS, shape[2], LINE),))

    def _recurrent(self, axes: Axes, shape: Sequence[int], number: int) -> Axes:
        if number == 0:
            return (*axes[:-1], new_units(shape[-1]))
        items = next(axis for axis in axes if is_only(axis, ITEMS))
        return (self._unknown(shape[0]), items, new_units(shape[-1]))

    def _aligned(self, sources: Sequence[Axes], shape: Sequence[int]) -> Axes | None:
        """The axes of what broadcasts; None where the sizes tell that it does not."""
        found: list[Axis] = []
        for i, size in enumerate(shape):
            from_end = i - len(shape)
            here = [axes[from_end] for axes in sources if len(axes) >= -from_end]
            if any(size_of(axis) not in (1, size) for axis in here):
                return None
            fitting = [axis for axis in here if size_of(axis) == size]
            sure = {frozenset(roles(axis)) for axis in fitting if strength(axis) == 2}
            unclear = not fitting or len(sure) > 1
            found.append(self._unknown(size) if unclear else max(fitting, key=strength))
        return None if any(len(axes) > len(shape) for axes in sources) else tuple(found)

    def _new_positions(self, size: int) -> Axis:
        return (Factor(POSITIONS, size, (next(self._keys),)),)

    def _unknown(self, size: int) -> Axis:
        return () if size == 1 else (Factor(UNKNOWN, size, (next(self._keys),)),)

    def _all_unknown(self, value: torch.Tensor) -> Axes:
        return tuple(map(self._unknown, value.shape))

    def _resolved(self, factor: Factor) -> Factor:
        if factor.role != UNKNOWN or factor.key[0] not in self._learned:
            return factor
        return replace(factor, role=self._learned[factor.key[0]])

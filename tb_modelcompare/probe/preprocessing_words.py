"""Preprocessing as people write it: a name, a range, a formula, or a mean and a deviation."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence

from tb_modelcompare.errors import ProbeError
from tb_modelcompare.probe.preprocessing import Preprocessing

_NAMED = {"tf": Preprocessing.tf, "torch": Preprocessing.torch, "caffe": Preprocessing.caffe}
_LONGEST = 200
HOW = (
    "give tf, torch, caffe, a range such as 0,255, or a formula of a pixel x from 0 to 255, such "
    "as (x-127)/128"
)


def preprocessing_from(text: str) -> Preprocessing:
    """Preprocessing from what a user writes.

    Parameters
    ----------
    text : str
        "tf", "torch" or "caffe"; a range such as "-1,1"; or a formula that is linear in the
        pixel x, which goes from 0 to 255, such as "(x-127)/128" or "x/255".

    Returns
    -------
    Preprocessing

    Raises
    ------
    ProbeError
        If it is none of these.

    Examples
    --------
    >>> preprocessing_from("x/127.5 - 1") == Preprocessing.tf()
    True
    """
    words = text.strip()
    if words in _NAMED:
        return _NAMED[words]()
    if "x" in words and len(words) <= _LONGEST:
        factor, constant = _linear(_parsed(words), words)
        return Preprocessing(scale=(255.0 * factor,), offset=(constant,))
    bounds = words.split(",")
    if len(bounds) != 2:
        raise ProbeError(f"preprocessing {text!r:.100} is none; {HOW}")
    low, high = (_number(bound, text) for bound in bounds)
    return Preprocessing.range(low, high)


def normalisation(mean: Sequence[float], std: Sequence[float]) -> Preprocessing:
    """`(pixel - mean) / std`, with one number for all channels or one for each, in RGB order.

    Pixels go from 0 to 1 where no mean and no deviation is above 1, and from 0 to 255 else.

    Raises
    ------
    ProbeError
        If there is another number of numbers, one is not finite, or a deviation is not positive.
    """
    for name, numbers in (("mean", mean), ("std", std)):
        if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
            raise ProbeError(
                f"the {name} is {','.join(f'{n:g}' for n in numbers)}; give one finite number, or "
                f"three, of red, green and blue"
            )
    if min(std) <= 0.0:
        raise ProbeError(f"a deviation is {min(std):g}; it must be above 0")
    largest = 1.0 if max(*mean, *std, 0.0) <= 1.0 else 255.0
    count = max(len(mean), len(std))
    means, deviations = (tuple(v) * (count // len(v)) for v in (mean, std))
    return Preprocessing(
        scale=tuple(largest / d for d in deviations),
        offset=tuple(-m / d for m, d in zip(means, deviations, strict=True)),
    )


def in_words(preprocessing: Preprocessing) -> str:
    """What becomes of the darkest and the brightest pixel, to be read before it is too late."""
    dark = preprocessing.offset
    count = max(len(preprocessing.scale), len(dark))
    scale, offset = (
        v if len(v) == count else v * count for v in (preprocessing.scale, preprocessing.offset)
    )
    bright = [s + o for s, o in zip(scale, offset, strict=True)]
    order = ", channels in the order blue, green, red" if preprocessing.bgr else ""
    return f"0 becomes {_shown(offset)} and 255 becomes {_shown(bright)}{order}"


def _shown(values: Sequence[float]) -> str:
    # Rounded first, so that -0 and the rounding of 255 * (1 / 255) are not shown.
    words = [f"{round(value, 6) + 0.0:.4g}" for value in values]
    return words[0] if len(set(words)) == 1 else f"({', '.join(words)})"


def _number(text: str, whole: str) -> float:
    try:
        value = float(text) if text.strip().isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ProbeError(f"preprocessing {whole!r:.100} is none; {HOW}")
    return value


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ProbeError(f"preprocessing {text!r:.100} is no formula; {HOW}") from error


def _linear(node: ast.expr, text: str) -> tuple[float, float]:
    """(a, b) of a formula that is a·x + b; nothing of it is ever run."""
    match node:
        case ast.Name(id="x"):
            return 1.0, 0.0
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return 0.0, _finite(value, text)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            a, b = _linear(operand, text)
            return -a, -b
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            (a, b), (c, d) = _linear(left, text), _linear(right, text)
            sign = 1.0 if isinstance(op, ast.Add) else -1.0
            return a + sign * c, b + sign * d
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            (a, b), (c, d) = _linear(left, text), _linear(right, text)
            if a == 0.0 or c == 0.0:
                return _finite(a * d + c * b, text), _finite(b * d, text)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            (a, b), (c, d) = _linear(left, text), _linear(right, text)
            if c == 0.0 and d != 0.0:
                return _finite(a / d, text), _finite(b / d, text)
    raise ProbeError(
        f"preprocessing {text!r:.100} is not linear in x; use x, numbers, + - * / and brackets, "
        f"such as (x-127)/128"
    )


def _finite(value: float, text: str) -> float:
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ProbeError(f"preprocessing {text!r:.100} holds a number that is too large")
    return found

"""What values of the command line may be: types of arguments for its parser.

Numbers are of ASCII digits alone, where Python takes those of any script, spaces and "1_000".
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

_WHOLE = re.compile(r"[+-]?[0-9]{1,300}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def count(low: int, high: int | None = None) -> Callable[[str], int]:
    """A type of argument: a whole number from `low` to `high`."""

    def whole(text: str) -> int:
        value = int(text) if _WHOLE.fullmatch(text) else low - 1
        if value < low or (high is not None and value > high):
            bounds = f"from {low}" + ("" if high is None else f" to {high}")
            raise argparse.ArgumentTypeError(f"{text!r:.100} is not a whole number {bounds}")
        return value

    return whole


def count_or(word: str, low: int, high: int | None = None) -> Callable[[str], int | str]:
    """A type of argument: a whole number from `low` to `high`, or one word."""
    whole = count(low, high)
    return lambda text: text if text == word else whole(text)


def number(text: str) -> float:
    """A type of argument: a finite number."""
    if not _DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
        raise argparse.ArgumentTypeError(f"{text!r:.100} is not a finite number")
    return float(text)


def numbers(text: str) -> list[float]:
    """A type of argument: one finite number, or several with commas between."""
    return [number(one) for one in text.split(",")]


def path(text: str) -> str:
    """A type of argument: the name of a file or directory; an empty one would mean this one."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no path")
    return text

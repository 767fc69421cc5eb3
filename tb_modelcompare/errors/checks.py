"""Checks of what callers choose: a wrong option is an error that says what is allowed.

Each check takes `error`, the class of what it raises, for those whose errors have a name of
their own.
"""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from tb_modelcompare.errors import ModelCompareError, OptionError

Choice = TypeVar("Choice", bound=str)


def one_of(
    name: str,
    value: object,
    allowed: Sequence[Choice],
    *,
    error: type[ModelCompareError] = OptionError,
) -> Choice:
    """The value, if it is one of the allowed words.

    Parameters
    ----------
    name : str
        Of the option, for the message.
    value : object
        What the caller gave.
    allowed : sequence of str
        All words that the option takes.

    Returns
    -------
    str
        The word from `allowed`.

    Raises
    ------
    OptionError
        If the value is anything else. The message lists the allowed words.
    """
    for word in allowed:
        if isinstance(value, str) and value == word:
            return word
    words = _listed([repr(word) for word in allowed], "or")
    raise error(f"{name} is {_shown(value)}; it must be {words}.")


def whole(
    name: str,
    value: object,
    *,
    least: int | None = None,
    most: int | None = None,
    error: type[ModelCompareError] = OptionError,
) -> int:
    """The value as an int, if it is a whole number within the bounds.

    A bool is not a number here, and neither is a float such as 10.0: both hint at a mistake.

    Parameters
    ----------
    name : str
        Of the option, for the message.
    value : object
        What the caller gave: an int, or an integer of numpy.
    least, most : int, optional
        The smallest and the largest value allowed.

    Raises
    ------
    OptionError
        If the value is no whole number, or outside the bounds. The message states the bounds.
    """
    bounds = _bounds(least=least, most=most)
    if (
        not isinstance(value, int | np.integer)
        or isinstance(value, bool)
        or (least is not None and value < least)
        or (most is not None and value > most)
    ):
        raise error(f"{name} is {_shown(value)}; it must be a whole number{bounds}.")
    return int(value)


def number(
    name: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    error: type[ModelCompareError] = OptionError,
) -> float:
    """The value as a float, if it is a finite real number within the bounds.

    Parameters
    ----------
    name : str
        Of the option, for the message.
    value : object
        What the caller gave: an int or a float, also of numpy. A bool is no number here.
    above, below : float, optional
        Bounds that the value must not reach.
    least, most : float, optional
        Bounds that the value may reach.

    Raises
    ------
    OptionError
        If the value is no number, NaN, infinite, or outside the bounds. The message states
        the bounds.
    """
    bounds = _bounds(above=above, least=least, below=below, most=most)
    wrong = error(f"{name} is {_shown(value)}; it must be a finite number{bounds}.")
    if not isinstance(value, numbers.Real) or isinstance(value, bool | np.bool_):
        raise wrong
    try:
        converted = float(value)
    except OverflowError:
        raise wrong from None
    if (
        not math.isfinite(converted)
        or (above is not None and not converted > above)
        or (least is not None and not converted >= least)
        or (below is not None and not converted < below)
        or (most is not None and not converted <= most)
    ):
        raise wrong
    return converted


def true_or_false(
    name: str, value: object, *, error: type[ModelCompareError] = OptionError
) -> bool:
    """The value as a bool, if it is one: a word such as "none" would count as true.

    Parameters
    ----------
    name : str
        Of the option, for the message.
    value : object
        What the caller gave.

    Raises
    ------
    OptionError
        If the value is neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise error(f"{name} is {_shown(value)}; it must be True or False.")
    return bool(value)


def only_known(whose: str, given: Iterable[str], allowed: Sequence[str]) -> None:
    """Nothing, if every name that was given is an allowed one.

    Parameters
    ----------
    whose : str
        What takes the options, for the message.
    given : iterable of str
        Names that the caller used.
    allowed : sequence of str
        Names that there are.

    Raises
    ------
    OptionError
        If a name is unknown. The message lists the names that there are.
    """
    unknown = [name for name in given if name not in allowed]
    if unknown:
        there_are = f"there are {_listed(allowed, 'and')}" if allowed else "it takes none"
        raise OptionError(f"{whose} has no option {_shown(unknown[0])}; {there_are}.")


def _shown(value: object) -> str:
    """The value, shortened where it is long: it may be an array that came in by mistake."""
    return reprlib.repr(value)


def _bounds(**bounds: float | None) -> str:
    """The bounds that there are, in words."""
    words = {"above": "above", "least": "at least", "below": "below", "most": "at most"}
    parts = [
        f"{words[key]} {bound if isinstance(bound, int) else f'{bound:g}'}"
        for key, bound in bounds.items()
        if bound is not None
    ]
    return f" {' and '.join(parts)}" if parts else ""


def first_named(names: Sequence[str], most: int, between: str = ", ") -> str:
    """The first of some names for a message, and how many more there are."""
    named = between.join(names[:most])
    if len(names) <= most:
        return named
    return f"{named}{' ' if between == ', ' else between}and {len(names) - most} more"


def _listed(words: Sequence[str], last: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"

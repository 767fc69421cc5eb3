"""A function with some of its options fixed, under a name of its own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

PACKAGE = "tb_modelcompare.similarity"
"""Where functions of measures are found by name, by people and by pickle."""


def preset(name: str, function: Callable[..., float], **fixed: str) -> Callable[..., float]:
    """`function` with these options, as a function called `name`.

    Its documentation is that of `function`, without the options that are fixed.
    """

    def chosen(X: Any, Y: Any, **options: Any) -> float:
        return function(X, Y, **fixed, **options)

    signature = inspect.signature(function)
    left = [one for one in signature.parameters.values() if one.name not in fixed]
    chosen.__name__ = chosen.__qualname__ = name
    chosen.__module__ = PACKAGE
    chosen.__doc__ = _documentation(function, fixed)
    chosen.__wrapped__ = function  # type: ignore[attr-defined]
    chosen.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
    return chosen


def _documentation(function: Callable[..., float], fixed: dict[str, str]) -> str:
    text = inspect.getdoc(function) or ""  # none where Python was told to drop docstrings
    for option in fixed:
        text = re.sub(rf"^{option} : .*\n(?:    .*\n)*", "", text, flags=re.MULTILINE)
    options = ", ".join(f'{option}="{value}"' for option, value in fixed.items())
    return f"`{function.__name__}` with {options}.\n\n{text}"

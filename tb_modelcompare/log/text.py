"""Text and JSON that anyone may have written."""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON text whose strings can all be written again as UTF-8.

    Raises
    ------
    ValueError
        If it is not UTF-8, not JSON, nested too deeply, or holds NaN, infinity or half of a
        surrogate pair.
    """
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if _ESCAPED_SURROGATE.search(text):  # whole pairs have become characters
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8; names of files need not be."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def escaped(value: object) -> str:
    """`str(value)`, in which escapes stand for what is not text."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

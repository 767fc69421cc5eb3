"""Parameters of a request's address, checked."""

from __future__ import annotations

import re

from werkzeug.wrappers import Request

from tb_modelcompare.errors import RequestError

_SHARE = re.compile(r"[01](\.[0-9]{1,20})?")


def text(request: Request, name: str) -> str:
    """A parameter that has to be there."""
    value = request.args.get(name)
    if value is None:
        raise RequestError(f"the parameter {name} is missing")
    return str(value)


def watcher(request: Request) -> str:
    """Which tab asks, if it says so."""
    name = str(request.args.get("watcher", ""))
    if not re.fullmatch(r"[A-Za-z0-9-]{0,64}", name):
        raise RequestError(f"watcher is {name!r:.100}; give up to 64 letters and digits")
    return name


def integer(request: Request, name: str, low: int, high: int, default: int | None = None) -> int:
    """A whole number in [low, high]; one without a default has to be there."""
    value = request.args.get(name, None if default is None else str(default))
    if value is None or not re.fullmatch(r"-?[0-9]{1,10}", value) or not low <= int(value) <= high:
        raise RequestError(f"{name} is {value!r:.50}; give an integer from {low} to {high}")
    return int(value)


def box(request: Request) -> tuple[float, ...]:
    """Part of an image, as shares of it: top, left, height, width."""
    value = request.args.get("box", "0,0,1,1")
    shares = value.split(",")
    numbers = tuple(float(share) for share in shares if _SHARE.fullmatch(share))
    if len(shares) != 4 or len(numbers) != 4 or max(numbers) > 1:
        raise RequestError(f"box is {value!r:.100}; give TOP,LEFT,HEIGHT,WIDTH from 0 to 1")
    return numbers


def integers(request: Request, name: str, low: int, high: int, most: int) -> list[int]:
    """One to `most` whole numbers in [low, high] with commas between them."""
    value = text(request, name)
    parts = value.split(",", most)
    if len(parts) > most or not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
        raise RequestError(f"{name} is {value!r:.100}; give 1 to {most} integers and commas")
    numbers = [int(part) for part in parts]
    if not all(low <= number <= high for number in numbers):
        raise RequestError(f"{name} is {value!r:.100}; give integers from {low} to {high}")
    return numbers

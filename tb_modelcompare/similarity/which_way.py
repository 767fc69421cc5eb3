"""Of a measure that is not symmetric: which of the two layers explains the other."""

from __future__ import annotations

from typing import Literal

Direction = Literal["x_to_y", "y_to_x"]
DIRECTIONS: tuple[Direction, ...] = ("x_to_y", "y_to_x")

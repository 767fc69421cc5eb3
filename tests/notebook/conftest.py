"""Small networks of which pictures can be made."""

from __future__ import annotations

from rendered import drawn_here, models

__all__ = ["drawn_here", "models"]

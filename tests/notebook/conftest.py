"""Small networks of which pictures can be made."""

from __future__ import annotations

from rendered import models

__all__ = ["models"]

"""Feature visualization through lucid: pictures of directions, and caricatures of photos.

TensorFlow is imported by the first render, not before.
"""

from __future__ import annotations

from tb_modelcompare.render.contact_sheet import contact_sheet
from tb_modelcompare.render.frozen import FrozenModel, check_renderable
from tb_modelcompare.render.loop import RenderCancelled
from tb_modelcompare.render.pictures import (
    render_caricatures,
    render_directions,
    render_directions_at,
)
from tb_modelcompare.render.program import warm_up
from tb_modelcompare.render.strength import picture_activities

__all__ = [
    "FrozenModel",
    "RenderCancelled",
    "check_renderable",
    "contact_sheet",
    "picture_activities",
    "render_caricatures",
    "render_directions",
    "render_directions_at",
    "warm_up",
]

"""What a module says of its own output."""

from __future__ import annotations

import torch


def declared_units(module: torch.nn.Module) -> tuple[int, int] | None:
    """How many units a module says that it has, and along which axis; None if it says nothing."""
    last = (torch.nn.Linear, "out_features"), (torch.nn.Embedding, "embedding_dim")
    for kind, attribute in last:
        if isinstance(module, kind):
            return int(getattr(module, attribute)), -1
    if isinstance(module, torch.nn.LayerNorm) and len(module.normalized_shape) == 1:
        return int(module.normalized_shape[0]), -1
    if isinstance(module, torch.nn.RNNBase):
        width = getattr(module, "proj_size", 0) or module.hidden_size
        return int(width) * (2 if module.bidirectional else 1), -1
    for attribute, axis in (
        ("out_channels", 1), ("out_features", -1), ("num_features", 1), ("num_channels", 1),
        ("embed_dim", -1), ("embedding_dim", -1),
    ):  # fmt: skip
        units = getattr(module, attribute, None)
        if isinstance(units, int):
            return units, axis
    return None

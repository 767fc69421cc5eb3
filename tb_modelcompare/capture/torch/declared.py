"""What a module says of its own output."""

from __future__ import annotations

import torch

_nn = torch.nn
# Where torch's own modules say how many units they have, and the axis of these.
_OWN: tuple[tuple[type, str, int], ...] = (
    (_nn.modules.conv._ConvNd, "out_channels", 1),
    (_nn.modules.batchnorm._NormBase, "num_features", 1),
    (_nn.GroupNorm, "num_channels", 1),
    (_nn.Linear, "out_features", -1),
    (_nn.Bilinear, "out_features", -1),
    (_nn.Embedding, "embedding_dim", -1),
    (_nn.EmbeddingBag, "embedding_dim", -1),
    (_nn.MultiheadAttention, "embed_dim", -1),
)
# What others call it, most often.
_USUAL = (
    ("out_channels", 1), ("out_features", -1), ("num_features", 1), ("num_channels", 1),
    ("embed_dim", -1), ("embedding_dim", -1),
)  # fmt: skip


def own_units(module: torch.nn.Module) -> tuple[int, int] | None:
    """How many units a module of torch's own has, and along which axis; None of others."""
    runs = next(kind for kind in type(module).__mro__ if "forward" in vars(kind))
    if not runs.__module__.startswith("torch.nn."):
        return None  # a subclass may do anything
    if isinstance(module, _nn.RNNBase):
        width = getattr(module, "proj_size", 0) or module.hidden_size
        return int(width) * (2 if module.bidirectional else 1), -1
    if isinstance(module, _nn.LayerNorm) and len(module.normalized_shape) == 1:
        return int(module.normalized_shape[0]), -1
    for kind, attribute, axis in _OWN:
        if isinstance(module, kind):
            return int(getattr(module, attribute)), axis
    return None


def likely_units(module: torch.nn.Module) -> tuple[int, int] | None:
    """The same of any module, by what such attributes are usually called."""
    if (own := own_units(module)) is not None:
        return own
    for attribute, axis in _USUAL:
        units = getattr(module, attribute, None)
        if isinstance(units, int):
            return units, axis
    return None

"""PyTorch modules: layer graph, activations, and a frozen graph to render them by."""

from tb_modelcompare.capture.torch.capture import open_model

__all__ = ["open_model"]

"""PyTorch modules: layer graph, activations, and a frozen graph to render them by."""

from __future__ import annotations

from typing import Any

from tb_modelcompare.capture.contract import Feed, Framework, Model, class_is_of


def _is_module(model: Any) -> bool:
    # On its torch backend a Keras model is a torch module too, and it is Keras that opens it.
    is_module = class_is_of(model, "torch") and callable(getattr(model, "named_modules", None))
    return is_module and not class_is_of(model, "keras")


def _open(module: Any, feed: Feed) -> Model:
    from tb_modelcompare.capture.torch.capture import open_model

    return open_model(module, feed)


FRAMEWORK = Framework(opens=_is_module, open=_open)

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


# To read a pickle is to run it, and weights alone do not say what they are the weights of.
_INSTEAD = (
    "files of PyTorch are not read, because they are programs (pickles) or weights without their "
    "module; load the module in Python and give it to SummaryWriter.add_model, or export it with "
    "torch.onnx.export and give the .onnx file"
)

FRAMEWORK = Framework(
    opens=_is_module,
    open=_open,
    not_read=dict.fromkeys(
        (".pt", ".pth", ".pt2", ".pkl", ".pickle", ".ckpt", ".bin", ".safetensors"), _INSTEAD
    ),
)

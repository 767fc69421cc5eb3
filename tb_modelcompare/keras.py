"""The Keras callback that logs a model while it trains, as `ModelCompareCallback`.

It is a Keras class, so that Keras is imported when it is first asked for, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tb_modelcompare.log.keras_callback import ModelCompareCallback

__all__ = ["ModelCompareCallback"]


def __getattr__(name: str) -> Any:
    if name != "ModelCompareCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tb_modelcompare.log.keras_callback import ModelCompareCallback

    return ModelCompareCallback

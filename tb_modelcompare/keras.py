"""The Keras callback that logs a model while it trains."""

from __future__ import annotations

from tb_modelcompare.log.keras_callback import ModelCompareCallback

__all__ = ["ModelCompareCallback"]

"""Which of several processes that train one model together is the one that logs."""

from __future__ import annotations

import sys
from typing import Any


def is_chief(model: Any = None) -> bool:
    """Whether this process is the one that logs: the first of its group, or the only one.

    Only what runs in this process counts: torch.distributed once it is initialised, JAX's
    processes, and TensorFlow's distribution strategy. No framework is imported for the answer,
    and environment variables such as RANK are no proof, as any launcher may set them.

    Parameters
    ----------
    model : Keras model, optional
        Its distribution strategy is asked as well.
    """
    return _torch_rank() == 0 and _jax_rank() == 0 and _is_tensorflow_chief(model)


def _torch_rank() -> int:
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 0
    return int(distributed.get_rank())


def _jax_rank() -> int:
    jax = sys.modules.get("jax")
    bridge = sys.modules.get("jax._src.xla_bridge")
    if jax is None or bridge is None:
        return 0
    # To ask a backend that has not started would start it, and take the memory of a GPU. No
    # public function says whether one has started.
    if not (jax.distributed.is_initialized() or bridge.backends_are_initialized()):
        return 0
    return int(jax.process_index())


def _is_tensorflow_chief(model: Any) -> bool:
    strategies = [getattr(model, "distribute_strategy", None)]
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        strategies.append(tensorflow.distribute.get_strategy())
    extended = (getattr(strategy, "extended", None) for strategy in strategies)
    return all(getattr(one, "should_save_summary", True) for one in extended)

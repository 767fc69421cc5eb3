"""Which device TensorFlow computes on, and how much of it: said before its first operation.

TensorFlow takes nearly all memory of a GPU with its first operation, unless it is told before.
A training that runs beside would then end for lack of memory.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from tb_modelcompare.errors import DeviceError

DEFAULT_DEVICE = "cpu"
DEVICE_HELP = (
    "what pictures are computed on: cpu, gpu, gpu:N for one of several, or auto for a GPU where "
    "there is one. Of a GPU, memory is taken as it is needed; a training beside it still shares "
    "its time"
)
_DEVICE = re.compile(r"(cpu|auto|gpu|gpu:[0-9]{1,3})\Z")


def checked_device(name: str) -> str:
    """`name`, if it names a device.

    Raises
    ------
    DeviceError
        If it does not.
    """
    if not _DEVICE.match(name):
        raise DeviceError(f"{name!r:.50} is no device; give cpu, auto, gpu, or gpu:0, gpu:1, …")
    return name


def device_argument(text: str) -> str:
    """`checked_device` as a type of an argument of argparse."""
    try:
        return checked_device(text)
    except DeviceError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def use_device(name: str) -> None:
    """Let TensorFlow see only the device `name`, and take GPU memory as it is needed.

    To be called before TensorFlow's first operation; again with the same name at any time.

    Raises
    ------
    DeviceError
        If there is no such device, or TensorFlow has begun to compute on another one.
    """
    import tensorflow as tf

    there = tf.config.list_physical_devices("GPU")
    chosen = _chosen(checked_device(name), there)
    try:
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, True)
        if tf.config.get_visible_devices("GPU") != chosen:
            tf.config.set_visible_devices(chosen, "GPU")
    except RuntimeError as error:  # the context exists
        raise DeviceError(
            f"TensorFlow computes on another device than {name} in this process already; "
            f"start the process anew"
        ) from error


def _chosen(name: str, there: list[Any]) -> list[Any]:
    if name == "cpu":
        return []
    number = int(name.partition(":")[2] or 0)
    if name != "auto" and number >= len(there):
        raise DeviceError(
            f"{name} was asked for and TensorFlow sees {len(there)} GPUs here; give cpu or auto"
        )
    return there[number : number + 1]

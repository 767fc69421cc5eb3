"""Ctrl-C that is not lost.

Python raises KeyboardInterrupt wherever it happens to be. Where that is code which
TensorFlow's C++ has called back, the exception is dropped there or comes out as another error.
So it is also remembered that the user asked, for loops and the command line to look at.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = threading.Event()


@contextmanager
def listening(*signals: signal.Signals) -> Iterator[None]:
    """Within it, each of `signals` raises KeyboardInterrupt and is remembered.

    One that whoever started us made us deaf to (a shell's background job) stays ignored, and
    outside the main thread, where Python takes no handlers, nothing changes.
    """
    _asked.clear()
    heard = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        heard = []
    former = {number: signal.signal(number, _interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def asked() -> bool:
    """Whether the user has asked to stop since `listening`."""
    return _asked.is_set()


def check() -> None:
    """Stop here if the user has asked to and the exception was lost on its way.

    Raises
    ------
    KeyboardInterrupt
    """
    if _asked.is_set():
        raise KeyboardInterrupt


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _asked.set()
    raise KeyboardInterrupt

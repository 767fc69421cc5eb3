"""The command line, `tb-modelcompare`.

Results go to standard output, progress and messages to standard error. The exit status is 0,
2 for what the user can mend (one line says what), 130 after Ctrl-C, and 1 with a traceback
for a defect of ours.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from tb_modelcompare.cli import interrupt
from tb_modelcompare.cli.parser import build_parser
from tb_modelcompare.cli.text import complain
from tb_modelcompare.errors import ModelCompareError

USER_ERROR = 2
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    # TensorFlow's informational lines would bury ours; its errors stay.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    arguments = build_parser().parse_args(argv)
    # SIGTERM too: whoever ends the demo ends its TensorBoard.
    with warnings.catch_warnings(), interrupt.listening(signal.SIGINT, signal.SIGTERM):
        warnings.showwarning = _show_warning
        try:
            status: int = arguments.run(arguments)
            sys.stdout.flush()
            return status
        except ModelCompareError as error:
            complain(error)
            return USER_ERROR
        except BrokenPipeError:
            # The reader (`| head`) has gone; Python would complain again when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _BROKEN_PIPE
        except BaseException:
            # Not only KeyboardInterrupt: on its way through TensorFlow it may have become another.
            if not interrupt.asked():
                raise
            complain("stopped")
            return _INTERRUPTED


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """A warning to the user as one line, without the place in our code; others not at all."""
    if issubclass(category, UserWarning):
        complain(f"warning: {message}")

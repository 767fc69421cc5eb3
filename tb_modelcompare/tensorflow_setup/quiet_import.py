"""TensorFlow's import without the lines that it prints whatever the log level."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from tb_modelcompare.tensorflow_setup.device import use_device

# Printed by native code before it looks at TF_CPP_MIN_LOG_LEVEL.
_NOISE = (b"oneDNN custom operations are on", b"before absl::InitializeLog()")


def import_tensorflow(device: str) -> None:
    """Import TensorFlow for use on `device`, so that later imports of it say nothing.

    What it writes to standard error meanwhile is held back and then passed on, without the lines
    that are known to mean nothing.

    Raises
    ------
    DeviceError
        As `use_device`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # also of sessions
    with _filtered_stderr():
        import tensorflow as tf

        use_device(device)
        tf.zeros(())  # the first operation prints as well


@contextlib.contextmanager
def _filtered_stderr() -> Iterator[None]:
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # no file: a notebook, a test's capture
        yield
        return
    sys.stderr.flush()
    original = os.dup(descriptor)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), descriptor)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, descriptor)
            held.seek(0)
            for line in held:
                if not any(noise in line for noise in _NOISE):
                    os.write(original, line)
            os.close(original)

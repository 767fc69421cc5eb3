"""Of the processes that train together, one logs. PyTorch's are in `test_processes.py`."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from patience import HANG

from tb_modelcompare.capture.chief import is_chief

JAX = """
import sys
import jax
from tb_modelcompare.capture.chief import is_chief
assert is_chief()
assert not jax._src.xla_bridge.backends_are_initialized()
jax.distributed.initialize("127.0.0.1:" + sys.argv[1], 2, int(sys.argv[2]))
print("chief" if is_chief() else "other")
"""


def test_of_jaxs_processes() -> None:
    pytest.importorskip("jax")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", JAX, str(port), str(rank)], stdout=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=HANG)[0].strip() for process in processes]
    assert said == ["chief", "other"]


def test_a_launchers_variables_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert is_chief()


def test_no_framework_is_imported_for_the_answer() -> None:
    program = (
        "import sys\n"
        "from tb_modelcompare.capture.chief import is_chief\n"
        "before = set(sys.modules)\n"
        "assert is_chief()\n"
        "print(sorted({'torch', 'jax', 'tensorflow'} & (set(sys.modules) - before)))"
    )
    command = [sys.executable, "-c", program]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_of_tensorflows_strategies() -> None:
    class Worker:
        class extended:  # noqa: N801 (as tf.distribute calls it)
            should_save_summary = False

    class Model:
        distribute_strategy = Worker()

    assert not is_chief(Model())

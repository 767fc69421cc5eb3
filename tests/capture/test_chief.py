"""Of the processes that train together, one logs."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from patience import HANG

from tb_modelcompare.capture.chief import is_chief

TORCH = """
import sys
import torch.distributed as distributed
from tb_modelcompare.capture.chief import is_chief
assert is_chief()
distributed.init_process_group(
    "gloo", init_method="file://" + sys.argv[1], rank=int(sys.argv[2]), world_size=2
)
print("chief" if is_chief() else "other")
distributed.destroy_process_group()
"""

JAX = """
import sys
import jax
from tb_modelcompare.capture.chief import is_chief
assert is_chief()
assert not jax._src.xla_bridge.backends_are_initialized()
jax.distributed.initialize("127.0.0.1:" + sys.argv[1], 2, int(sys.argv[2]))
print("chief" if is_chief() else "other")
"""


def _answers(program: str, meeting: str) -> list[str]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, meeting, str(rank)], stdout=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    return [process.communicate(timeout=HANG)[0].strip() for process in processes]


def test_of_torchs_processes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert _answers(TORCH, str(tmp_path / "meeting")) == ["chief", "other"]


def test_of_jaxs_processes() -> None:
    pytest.importorskip("jax")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert _answers(JAX, str(port)) == ["chief", "other"]


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

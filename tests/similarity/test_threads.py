"""Threads: the same numbers on any number of them, and BLAS left as it was found."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from patience import HANG
from threadpoolctl import threadpool_info, threadpool_limits

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import ComparisonCancelled, compare
from tb_modelcompare.similarity.threads import spread


def blas_threads() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def layers(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    signal = random.standard_normal((600, 20), dtype=np.float32)
    return {
        str(width): signal @ random.standard_normal((20, width), dtype=np.float32)
        + random.standard_normal((600, width), dtype=np.float32)
        for width in (30, 70, 150)
    }


@pytest.mark.parametrize("measure", ["whitened_correlation", "pwcca_x", "svcca", "procrustes"])
def test_pairs_on_several_threads_are_the_same_bits_in_every_run(measure: str) -> None:
    a, b = layers(0), layers(1)
    with threadpool_limits(4, user_api="blas"):
        runs = [compare(a, b, measure).values for _ in range(4)]
    for other in runs[1:]:
        assert (runs[0] == other).all()
    with threadpool_limits(1, user_api="blas"):
        np.testing.assert_allclose(compare(a, b, measure).values, runs[0], rtol=1e-6)


def test_blas_gets_its_threads_back_from_callers_at_the_same_time() -> None:
    a = layers(0)
    before = blas_threads()
    for _ in range(8):
        callers = [threading.Thread(target=compare, args=(a, a, "mean_cca")) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert blas_threads() == before


def test_blas_gets_its_threads_back_after_errors_and_cancelling() -> None:
    a = layers(0)
    with threadpool_limits(3, user_api="blas"):
        with pytest.raises(ActivationError):
            compare({**a, "constant": np.zeros((600, 5), np.float32)}, a, "mean_cca")
        with pytest.raises(ComparisonCancelled):
            compare(a, a, "mean_cca", cancelled=lambda: True)
        assert blas_threads() == {3}


def test_what_has_not_begun_is_left_when_it_is_cancelled() -> None:
    begun = []

    def begin(item: int) -> None:
        begun.append(item)
        time.sleep(0.001)

    def stop(item: int) -> None:
        raise ComparisonCancelled

    with threadpool_limits(2, user_api="blas"), pytest.raises(ComparisonCancelled):
        spread(begin, range(10_000), stop)
    assert len(begun) < 10_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_has_threads_of_its_own() -> None:
    code = (
        "import os\n"
        "from tb_modelcompare.similarity.threads import spread\n"
        "spread(lambda item: item, range(5))\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    os._exit(spread(lambda item: item + 1, range(5))[-1])\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG)


def test_what_runs_has_ended_when_it_is_cancelled() -> None:
    ended = []

    def slow(item: int) -> int:
        time.sleep(0.2 if item else 0.0)
        ended.append(item)
        return item

    def stop(item: int) -> None:
        raise ComparisonCancelled

    with threadpool_limits(2, user_api="blas"), pytest.raises(ComparisonCancelled):
        spread(slow, range(10), stop)
    after = list(ended)
    time.sleep(0.5)
    assert ended == after

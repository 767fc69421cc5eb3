"""Ctrl-C ends a command even where TensorFlow loses the exception."""

import argparse
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

import pytest

import tb_modelcompare.cli as cli
from tb_modelcompare.cli import interrupt


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """As in a terminal, also where the tests themselves are a shell's background job."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def _press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _a_command(monkeypatch: pytest.MonkeyPatch, run: Callable[[argparse.Namespace], int]) -> None:
    parser = argparse.ArgumentParser()
    parser.set_defaults(run=run)
    monkeypatch.setattr(cli, "build_parser", lambda: parser)


def test_a_lost_interrupt_is_raised_again_by_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        interrupt.check()  # nobody has asked yet
        with contextlib.suppress(KeyboardInterrupt):  # as C++ that calls back into Python does
            _press_ctrl_c()
        interrupt.check()
        return 0

    _a_command(monkeypatch, run)
    assert cli.main([]) == 130
    assert capsys.readouterr().err == "tb-modelcompare: stopped\n"


def test_an_interrupt_that_became_another_error_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        try:
            _press_ctrl_c()
        except KeyboardInterrupt as lost:
            raise SystemError("returned a result with an exception set") from lost
        return 0

    _a_command(monkeypatch, run)
    assert cli.main([]) == 130
    assert capsys.readouterr().err == "tb-modelcompare: stopped\n"


def test_a_defect_without_ctrl_c_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        raise SystemError("a defect")

    _a_command(monkeypatch, run)
    with pytest.raises(SystemError, match="a defect"):
        cli.main([])


def test_handlers_are_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    _a_command(monkeypatch, lambda _: 0)
    assert cli.main([]) == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_background_job_stays_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(_: argparse.Namespace) -> int:
        _press_ctrl_c()
        interrupt.check()
        return 0

    _a_command(monkeypatch, run)
    assert cli.main([]) == 0

"""Runs of the real command, and log directories for them."""

from __future__ import annotations

import io
import os
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from importlib import metadata
from pathlib import Path

import pytest
from command_line import COMMAND, DEMO_STEPS, Run, write_logs
from once import made_once
from patience import HANG
from rendered import drawn_here, models  # noqa: F401

from tb_modelcompare.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a cache of its own, in which TensorBoard finds the plugin."""
    base = tmp_path_factory.mktemp("environ")
    if not metadata.entry_points(group="tensorboard_plugins", name="modelcompare"):
        info = base / "tb_modelcompare_checkout-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Name: tb-modelcompare-checkout\nVersion: 0\n")
        (info / "entry_points.txt").write_text(
            "[tensorboard_plugins]\nmodelcompare = tb_modelcompare.loader:ModelCompareLoader\n"
        )
    path = os.pathsep.join([str(base), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "TB_MODELCOMPARE_CACHE": str(base / "cache")}


@pytest.fixture(scope="session")
def command(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs `tb-modelcompare` with the given arguments to its end."""
    elsewhere = tmp_path_factory.mktemp("cwd")

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env={**environ, **variables},
            cwd=elsewhere,
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
        )

    return run


@pytest.fixture
def inside(
    environ: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    drawn_here: None,  # noqa: F811
) -> Run:
    """`command` in this process, for most tests: a start takes seconds of the processor."""
    monkeypatch.setenv("TB_MODELCOMPARE_CACHE", environ["TB_MODELCOMPARE_CACHE"])
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as changed, redirect_stdout(out), redirect_stderr(err):
            for name, value in variables.items():
                changed.setenv(name, value)
            try:
                status = main([*map(str, arguments)])
            except SystemExit as error:  # of argparse
                status = int(error.code or 0)
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that only read."""
    root = tmp_path_factory.mktemp("logs")
    write_logs(root)
    return root


@pytest.fixture
def own_logdir(tmp_path: Path) -> Path:
    """For tests that damage it."""
    write_logs(tmp_path / "logs")
    return tmp_path / "logs"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's logs, after one step of training on few windows of each photograph.

    The step is not compiled, which for the three networks would take half a minute.
    """

    def make(root: Path) -> None:
        import tensorflow as tf

        with pytest.MonkeyPatch.context() as smaller:
            for windows, count in (("_TRAIN_WINDOWS", 20), ("_TEST_WINDOWS", 24)):
                smaller.setattr(f"tb_modelcompare.demo.logs.{windows}", count)
            tf.config.run_functions_eagerly(True)
            try:
                status = main(["demo", f"--logdir={root}", "--no-serve", f"--steps={DEMO_STEPS}"])
            finally:
                tf.config.run_functions_eagerly(False)
        assert status == 0

    return made_once(tmp_path_factory, "demo", make)

"""What a user gets from `pip install`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from build_support import frontend, requirements

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(
    scope="module", params=["as built", pytest.param("built anew", marks=pytest.mark.slow)]
)
def wheel(tmp_path_factory: pytest.TempPathFactory, request: Any) -> zipfile.ZipFile:
    """The wheel made from the source distribution, as an index would serve it.

    It is made from a copy: other tests write below the checkout meanwhile (byte code, caches),
    and a file that vanishes while it is packed ends the build. Whoever installs from an index
    builds the bundle anew, which takes most of the time. The stamp of the checkout's bundle spares
    that, unless the source distribution lacks files from which the bundle is built.
    """
    out, copy = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("checkout") / "project"
    passing = ("__pycache__", "node_modules", "build", ".git", ".venv", ".*cache", "logs")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*passing))
    if request.param == "built anew":
        build(copy, out)
    else:
        build(copy, out, "--sdist", "--no-isolation")
        (archive,) = out.glob("*.tar.gz")
        shutil.unpack_archive(archive, copy.parent)
        unpacked = copy.parent / archive.name.removesuffix(".tar.gz")
        stamp = Path("tb_modelcompare", "static", ".built-from")
        shutil.copy(ROOT / stamp, unpacked / stamp)
        build(unpacked, out, "--wheel", "--no-isolation")
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def build(project: Path, out: Path, *options: str) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "build", *options, "--outdir", str(out), str(project)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]


def test_wheel_holds_the_bundle_and_lucid_with_its_licence(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "tb_modelcompare/static/index.js" in names
    assert "tb_modelcompare/render/_lucid/lucid/optvis/render.py" in names
    assert b"Apache License" in wheel.read("tb_modelcompare/render/_lucid/LICENSE")
    assert "tb_modelcompare/py.typed" in names
    assert "tb_modelcompare/docs/how-to/compare_in_the_tab.md" in names


def test_wheel_holds_the_licences_of_what_is_compiled_into_the_bundle(
    wheel: zipfile.ZipFile,
) -> None:
    page = wheel.read("tb_modelcompare/static/report/report.js").decode()
    assert page.startswith("/*!")
    for text in (
        wheel.read("tb_modelcompare/static/LICENSES.txt").decode(),
        page.partition("*/")[0],  # pages hold the script, and so these
    ):
        packages = re.findall(r"^(\S+) \d+\.\d+\.\d+ \((\S+)\)$", text, re.MULTILINE)
        found = dict(packages)
        assert found["svelte"] == "MIT"
        assert found["d3-array"] == "ISC"
        assert text.count("Copyright") >= len(packages)
        assert "THE SOFTWARE IS PROVIDED" in text


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tb_modelcompare"}


def test_wheel_asks_for_the_small_tensorflow_where_there_is_one(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    asked = [
        line
        for line in wheel.read(name).decode().splitlines()
        if "Requires-Dist: tensorflow" in line
    ]
    assert len(asked) == 2
    assert any("tensorflow-cpu" in line and "x86_64" in line for line in asked)


def test_tensorflow_that_is_already_installed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "tensorflow-2.21.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tensorflow\nVersion: 2.21.0\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.delenv("TB_MODELCOMPARE_TENSORFLOW", raising=False)
    (asked,) = requirements.tensorflow_requirement()
    assert asked.startswith("tensorflow>=")


def test_unknown_tensorflow_choice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TB_MODELCOMPARE_TENSORFLOW", "tensorflow-gpu")
    with pytest.raises(ValueError, match="tensorflow-gpu"):
        requirements.tensorflow_requirement()


def test_a_machine_without_node_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not frontend.node_is_usable()


def test_tensorboard_finds_the_plugin() -> None:
    (entry,) = metadata.entry_points(group="tensorboard_plugins", name="modelcompare")
    assert entry.load().__name__ == "ModelCompareLoader"


def test_importing_the_package_loads_no_framework() -> None:
    heavy = {"tensorflow", "keras", "torch", "lucid", "scipy", "PIL"}
    printed = subprocess.run(
        [sys.executable, "-c", "import tb_modelcompare, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not heavy & set(printed)

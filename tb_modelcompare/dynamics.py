"""The former name of `tb_modelcompare.training`."""

from __future__ import annotations

import warnings

from tb_modelcompare.training import *  # noqa: F403

warnings.warn(
    "tb_modelcompare.dynamics is now tb_modelcompare.training", DeprecationWarning, stacklevel=2
)

"""The former name of `tb_modelcompare.log.reader`."""

from __future__ import annotations

import warnings

from tb_modelcompare.log.reader import *  # noqa: F403

warnings.warn(
    "tb_modelcompare.store is now tb_modelcompare.log.reader; import list_snapshots and "
    "open_snapshot from tb_modelcompare",
    DeprecationWarning,
    stacklevel=2,
)

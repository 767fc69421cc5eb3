"""`python -m tb_modelcompare` is `tb-modelcompare`."""

from __future__ import annotations

import sys

from tb_modelcompare.cli import main

sys.exit(main())

"""The tab's code stays small enough to load at once."""

from __future__ import annotations

import re
from pathlib import Path

from skipping import missing

import tb_modelcompare

STATIC = Path(tb_modelcompare.__file__).parent / "static"
MOST_BYTES = 350_000


def test_the_tab_takes_no_more_javascript_than_it_may() -> None:
    if not (STATIC / "index.js").is_file():
        missing("the tab is not built: run `npm ci && npm run build` in frontend/")
    files = [STATIC / "index.js", *(STATIC / "static").glob("*.js")]
    sizes = {file.name: file.stat().st_size for file in files}
    assert any(re.match(r"start-.*\.js$", name) for name in sizes)
    assert sum(sizes.values()) <= MOST_BYTES, sizes

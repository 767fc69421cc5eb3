"""The Python in docs/how-to/use_python.md runs, in order."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "use_python.md"


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), scope)
    table, stream = scope["table"], scope["stream"]
    whole = scope["similarity"].compare(scope["layers_of_a"], scope["layers_of_b"])  # type: ignore[attr-defined]
    np.testing.assert_allclose(stream.compare("linear_cka").values, whole.values, atol=1e-6)  # type: ignore[attr-defined]
    assert np.all(table.low <= table.high)  # type: ignore[attr-defined]
    assert (tmp_path / "figure.html").stat().st_size > 10_000

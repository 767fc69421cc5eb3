"""Run the cells of a notebook and keep what they show, so that the committed outputs are real.

    python -m build_support.run_notebook examples/comparing_models.ipynb

An interactive figure is kept as a still picture of itself, because each one holds the code of the
tab and would make the notebook megabytes long. Needs Chromium for these pictures.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PATIENCE = 600_000  # milliseconds that a page may take to be drawn, on a machine that is busy

Notebook = dict[str, Any]
Shown = dict[str, str]


def run(notebook: Notebook, show: Callable[[Any], Shown]) -> dict[str, Any]:
    """Run all code cells in one scope, and put what they show in their outputs.

    Parameters
    ----------
    notebook : dict
        As in the file; its outputs are replaced.
    show : function
        Of the value of a cell's last expression to what is shown, by type of content.

    Returns
    -------
    dict
        The scope after the last cell.
    """
    scope: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            value = _value("".join(cell["source"]), scope)
        cell["execution_count"], cell["outputs"] = count, []
        if said.getvalue():
            text = said.getvalue().splitlines(keepends=True)
            cell["outputs"].append({"output_type": "stream", "name": "stdout", "text": text})
        if value is not None:
            data = {kind: text.splitlines(keepends=True) for kind, text in show(value).items()}
            cell["outputs"].append(
                {
                    "output_type": "execute_result",
                    "execution_count": count,
                    "metadata": {},
                    "data": data,
                }
            )
    return scope


def shown(value: Any) -> Shown:
    """What a notebook shows of a value."""
    html = getattr(value, "_repr_html_", None)
    plain = {"text/plain": repr(value) if html is None else f"<{type(value).__name__}>"}
    return plain if html is None else {**plain, "text/html": html()}


def _value(source: str, scope: dict[str, Any]) -> Any:
    """Run the lines of a cell; the value of the last one, if it is an expression."""
    lines = ast.parse(source)
    last = lines.body.pop() if lines.body and isinstance(lines.body[-1], ast.Expr) else None
    exec(compile(lines, "<cell>", "exec"), scope)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), scope)


def _still(browser: Any, page_html: str, height: int) -> str:
    """A figure as PNG, base64, once its lines are drawn."""
    page = browser.new_page(viewport={"width": 1000, "height": height})
    page.set_default_timeout(_PATIENCE)
    page.set_content(page_html)
    for frame in page.frames:
        if len(page.frames) == 1 or frame != page.main_frame:
            frame.locator(".legend .count").wait_for()
    if len(page.frames) == 1 and '"caricatures":{}' not in page_html:
        boxes = page.locator(".model.a .box")  # pictures are shown beside the pointer
        boxes.first.wait_for()
        boxes.nth(boxes.count() // 2).hover()
    page.wait_for_timeout(1500)
    picture = page.screenshot()
    page.close()
    return base64.b64encode(_of_few_colours(picture)).decode()


def _of_few_colours(png: bytes) -> bytes:
    """The picture with at most 64 colours, which is a third of the size."""
    from PIL import Image

    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(64).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def main(file: Path) -> None:
    from playwright.sync_api import sync_playwright

    from tb_modelcompare.notebook import Figure

    notebook = json.loads(file.read_text(encoding="utf-8"))
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--headless"]
        )

        def show(value: Any) -> Shown:
            if isinstance(value, Figure):
                return {"image/png": _still(browser, value.page, value.height)}
            return shown(value)

        run(notebook, show)
    file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

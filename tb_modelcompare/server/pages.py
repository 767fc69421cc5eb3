"""The documentation's pages that the tab opens, as HTML.

They are written in Markdown in `docs/`. A wheel has a copy of that folder in the package; in a
checkout they are read from where they are written. TensorBoard itself needs the Markdown library.
"""

from __future__ import annotations

import html
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath

from werkzeug.wrappers import Request, Response

from tb_modelcompare.server.guards import Handler, respond

_PACKAGE = Path(__file__).parents[1]
PACKED = _PACKAGE / "docs"
WRITTEN = _PACKAGE.parent / "docs"

# Pages that are whole as they are written; the reference is made from the code, for the site.
SHOWN = ("how-to/*.md", "explanation/*.md", "glossary.md", "benchmarks.md")

_LINK = re.compile(r'<a href="([^":]+?)\.md(#[^"]*)?">(.*?)</a>', re.DOTALL)
_PICTURE = re.compile(r"<p><img [^>]*></p>")
_STYLE = """
:root { color-scheme: light dark }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.6 Roboto, system-ui,
  sans-serif; overflow-wrap: anywhere }
pre, .admonition { padding: .6rem 1rem; border: 1px solid #8888; border-radius: 4px;
  overflow-x: auto }
table { border-collapse: collapse } th, td { padding: .3rem .6rem; border: 1px solid #8888;
  text-align: left; vertical-align: top }
.admonition-title { font-weight: 600; margin: 0 }
:target { scroll-margin-top: 1rem }
"""


def pages() -> dict[str, Handler]:
    """Every page by its path, such as `docs/glossary.html`."""
    folder = PACKED if PACKED.is_dir() else WRITTEN
    found = [file for pattern in SHOWN for file in sorted(folder.glob(pattern))]
    names = {file.relative_to(folder).with_suffix("").as_posix() for file in found}
    return {
        f"docs/{file.relative_to(folder).with_suffix('.html').as_posix()}": _served(
            file, file.relative_to(folder).parent.as_posix(), names
        )
        for file in found
    }


def _served(file: Path, folder: str, names: set[str]) -> Handler:
    def serve(request: Request) -> Response:
        return respond(request, _page(file.read_text("utf-8"), folder, names), "text/html")

    return serve


def _page(text: str, folder: str, names: set[str]) -> str:
    import markdown  # only whoever asks for help needs it

    extensions = ["admonition", "attr_list", "def_list", "fenced_code", "tables", "toc"]
    body = markdown.markdown(text, extensions=extensions, output_format="html")

    def link(found: re.Match[str]) -> str:
        """Of a page that is not shown here, only the words stay."""
        path, anchor, words = found[1], found[2] or "", found[3]
        there = normpath(PurePosixPath(folder, path).as_posix()) in names
        return f'<a href="{path}.html{anchor}">{words}</a>' if there else words

    title = re.sub(r"\A#\s*", "", text.partition("\n")[0])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><main>{_PICTURE.sub('', _LINK.sub(link, body))}</main></html>"
    )

"""The documentation's pages that the tab opens, as HTML.

They are written in Markdown in `docs/`. A wheel has a copy of that folder in the package; in a
checkout they are read from where they are written. TensorBoard itself needs the Markdown library.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

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
  sans-serif; overflow-wrap: break-word }
main { overflow-x: auto }
nav { display: flex; flex-wrap: wrap; gap: 0 1rem; padding-bottom: .6rem;
  border-bottom: 1px solid #8888; font-size: 14px }
nav a { text-decoration: none } nav [aria-current] { color: inherit; font-weight: 600 }
code { font-size: 14px } pre { line-height: 1.5 }
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
    files = {file.relative_to(folder).with_suffix("").as_posix(): file for file in found}
    return {f"docs/{name}.html": _served(name, files) for name in files}


def _served(name: str, files: dict[str, Path]) -> Handler:
    def serve(request: Request) -> Response:
        texts = {name: file.read_text("utf-8") for name, file in files.items()}
        return respond(request, _page(name, texts), "text/html")

    return serve


def _title(text: str) -> str:
    return html.escape(re.sub(r"\A#\s*", "", text.partition("\n")[0]))


def _others(name: str, texts: dict[str, str]) -> str:
    """Links to all pages, above each."""
    links = (
        f'<a href="{relpath(other, dirname(name))}.html"'
        f"{' aria-current=page' if other == name else ''}>{_title(text)}</a>"
        for other, text in texts.items()
    )
    return f'<nav aria-label="Pages">{"".join(links)}</nav>'


def _page(name: str, texts: dict[str, str]) -> str:
    import markdown  # only whoever asks for help needs it

    text, folder = texts[name], dirname(name)
    extensions = ["admonition", "attr_list", "def_list", "fenced_code", "tables", "toc"]
    body = markdown.markdown(text, extensions=extensions, output_format="html")

    def link(found: re.Match[str]) -> str:
        """Of a page that is not shown here, only the words stay."""
        path, anchor, words = found[1], found[2] or "", found[3]
        there = normpath(join(folder, path)) in texts
        return f'<a href="{path}.html{anchor}">{words}</a>' if there else words

    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_title(text)}</title>'
        f"<style>{_STYLE}</style>{_others(name, texts)}"
        f"<main>{_PICTURE.sub('', _LINK.sub(link, body))}</main></html>"
    )

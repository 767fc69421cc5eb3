"""Parts of the documentation that are written from the code, as a hook of mkdocs.

A page marks where such a part belongs with an HTML comment, so that the page itself is in the
repository and links to it are alive there too.
"""

from __future__ import annotations

import argparse
import html
import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tb_modelcompare.similarity import Measure


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put each generated part where its page marks it; mkdocs calls this."""
    for name, part in PARTS.items():
        mark = f"<!-- generated: {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, part())
    return markdown


def command_line() -> str:
    """A section for each command: usage, what it does, arguments and options."""
    from tb_modelcompare.cli.parser import command_parsers

    return "\n\n".join(_command(name, parser) for name, parser in command_parsers().items())


def measures() -> str:
    """A section for each measure, as it declares itself."""
    from tb_modelcompare.similarity import MEASURES

    return "\n\n".join(_measure(measure) for measure in MEASURES.values())


def presets() -> str:
    """A section for each measure that is a function with some options fixed."""
    from tb_modelcompare.similarity import MEASURES

    functions = (one.function for one in MEASURES.values() if hasattr(one.function, "__wrapped__"))
    return "\n\n".join(
        f"### {one.__name__}\n\n```python\n{one.__name__}{inspect.signature(one)}\n```\n\n"
        f"{_text((one.__doc__ or '').partition(chr(10))[0])}"
        for one in functions
    )


def invariances() -> str:
    """What each word of the column "unchanged by" means."""
    from tb_modelcompare.similarity import INVARIANCES

    return _table(["word", "meaning"], [[name, meaning] for name, meaning in INVARIANCES.items()])


PARTS: dict[str, Callable[[], str]] = {
    "command line": command_line,
    "measures": measures,
    "presets": presets,
    "invariances": invariances,
}


def _measure(measure: Measure) -> str:
    options = ", ".join(f"`{option}`" for option in measure.options)
    facts = [
        ["formula", _text(measure.formula)],
        ["range", f"[{_number(measure.low)}, {_number(measure.high)}]"],
        ["kind", "distance: small means similar" if measure.distance else "similarity"],
        [
            "of a layer with itself",
            "depends on the layer" if measure.self_value is None else _number(measure.self_value),
        ],
        ["symmetric", "yes" if measure.symmetric else "no"],
        ["unchanged by", ", ".join(measure.invariances)],
        ["options of `compare`", options or "none"],
        ["source", _text(measure.paper)],
    ]
    if measure.wants_rows_over_units:
        facts.insert(-1, ["needs", _needs(measure)])
    return "\n\n".join(
        [
            f"### {measure.name}",
            f"**{_text(measure.title)}.** {_text(measure.summary)}",
            _table(["", ""], facts),
        ]
    )


def _needs(measure: Measure) -> str:
    if math.isinf(measure.rows_per_unit):
        return f"`{measure.instead}` beside it: it is high for unrelated layers"
    return f"{measure.rows_per_unit:g} rows for each unit, or `{measure.instead}`: it is biased"


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(prog=parser.prog, width=88)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups, prefix="")
    rows = [
        [f"`{_invocation(action)}`", _text(_help(action, parser))]
        for action in parser._actions
        if action.dest != "help"
    ]
    return "\n\n".join(
        [
            f"## {name}",
            _text(parser.description or ""),
            f"```text\n{formatter.format_help().strip()}\n```",
            _table(["argument", "meaning"], rows),
        ]
    )


def _invocation(action: argparse.Action) -> str:
    names = [action.metavar] if isinstance(action.metavar, str) else list(action.metavar or ())
    value = " ".join(names)
    if not action.option_strings:
        return value or action.dest
    flags = ", ".join(action.option_strings)
    return flags if action.nargs == 0 else f"{flags} {value or action.dest.upper()}"


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    return (action.help or "") % {**vars(action), "prog": parser.prog}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(text: str) -> str:
    """Text as it is, wherever Markdown or a table would take a character for its own."""
    escaped = html.escape(text, quote=False)
    for character in "\\`*_[]|":
        escaped = escaped.replace(character, f"&#{ord(character)};")
    return escaped


def _number(value: float) -> str:
    for factor, name in ((math.pi / 2, "π/2"), (math.sqrt(2), "√2")):
        if math.isclose(value, factor):
            return name
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:g}".replace("-", "−")

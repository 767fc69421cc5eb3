"""What the command line prints and writes of names that anyone may have chosen."""

from __future__ import annotations

import sys
from collections.abc import Sequence

# What a spreadsheet takes for a formula, as in the tab's exports.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str) -> str:
    """`text` on one line, without anything that a terminal would obey.

    Control characters, marks that turn the direction of writing, and halves of characters are
    shown as Python writes them: ESC as \\x1b.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def counted(count: int, noun: str) -> str:
    """How many there are of what, in words: "1 photo", "2 photos"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def say(line: str) -> None:
    """A line to the user, on standard error."""
    print(printable(line), file=sys.stderr, flush=True)


def complain(message: object) -> None:
    """A line to the user that says what is wrong, on standard error."""
    say(f"tb-modelcompare: {message}")


def csv_text(text: str) -> str:
    """`text` for a CSV file, such that no spreadsheet runs it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell; one whose heading begins with ">" is flush right."""
    sides = [">" if name.startswith(">") else "<" for name in columns]
    headings = [name.removeprefix(">") for name in columns]
    lines = [[printable(cell) for cell in line] for line in (headings, *rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)
        ).rstrip()
        for line in lines
    )

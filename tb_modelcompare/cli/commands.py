"""How a command of the command line is defined: its name, its words, and what it runs."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any


def command(commands: Any, name: str, function: str, summary: str, description: str) -> Any:
    parser = commands.add_parser(name, help=summary, description=description)
    parser.set_defaults(run=_lazily(function), parser=parser)
    return parser


def _lazily(where: str) -> Callable[[argparse.Namespace], int]:
    """A function of a module of this package ("demo.run"), imported when it is called."""
    module, function = where.split(".")

    def run(arguments: argparse.Namespace) -> int:
        imported = importlib.import_module(f"tb_modelcompare.cli.{module}")
        status: int = getattr(imported, function)(arguments)
        return status

    return run

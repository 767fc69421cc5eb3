"""Where results go: checked before anything is computed; and how progress is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from tb_modelcompare.cli.text import printable, say
from tb_modelcompare.errors import ModelCompareError

BAR = "{desc} |{bar}| {percentage:3.0f} % {elapsed}"  # tqdm's
_LINE_SECONDS = 30  # between two lines, where there is no terminal to draw a bar on


class OutputError(ModelCompareError):
    """A file or directory cannot be written."""


def output_file(name: str | None) -> Path | None:
    """`name` as a path that can be written, its directory made; None for None.

    Raises
    ------
    OutputError
        If it cannot.
    """
    if name is None:
        return None
    path = Path(name)
    if path.is_dir():
        raise OutputError(f"{path} is a directory; give a file")
    output_directory(path.parent)
    is_new = not path.exists()
    try:
        path.open("ab").close()
        if is_new:  # a command that is stopped leaves no empty file
            path.unlink()
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
    return path


def output_directory(path: Path) -> Path:
    """`path`, made if it is not there.

    Raises
    ------
    OutputError
        If it cannot be.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be made: {error.strerror}") from error
    return path


@contextmanager
def following(what: str) -> Iterator[Callable[[float, str], None]]:
    """How far something is, as a function of the share done and of what is being done.

    It is a bar on a terminal, and a line now and then elsewhere.
    """
    said = time.monotonic()
    with tqdm(total=1000, desc=what, bar_format=BAR, disable=None, leave=False) as bar:

        def follow(share: float, message: str) -> None:
            nonlocal said
            bar.set_description(printable(message or what), refresh=False)
            bar.update(int(1000 * share) - bar.n)
            if bar.disable and time.monotonic() - said >= _LINE_SECONDS:
                said = time.monotonic()
                say(f"{what}: {share:.0%}, {message}" if message else f"{what}: {share:.0%}")

        yield follow

"""The classes of a probe's images, by their folders or a table."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

from tb_modelcompare.errors import OptionError
from tb_modelcompare.probe.probe import Probe

FOLDERS = "folders"
_MAX_BYTES = 64 * 2**20

Given = tuple[Sequence[int] | Sequence[str], Sequence[str] | None]


def labels_of(arguments: argparse.Namespace, probe: Probe) -> Given | None:
    """Labels and names of classes as `Probe` takes them, by `--labels` and `--class-names`.

    Raises
    ------
    OptionError
        If a file cannot be read, or an image has no label.
    """
    names = None
    if arguments.class_names is not None:
        names = [line.strip() for line in _text_of(arguments.class_names).splitlines()]
        names = [name for name in names if name]
    if arguments.labels is None:
        if names is not None:
            raise OptionError("--class-names is for --labels; give both")
        return None
    if arguments.labels == FOLDERS:
        labels = [name.rpartition("/")[0] for name in probe.names]
        if not all(labels):
            without = probe.names[labels.index("")]
            raise OptionError(f"--labels folders: {without} is in no folder named by its class")
    else:
        labels = _of_table(arguments.labels, probe.names)
    if all(label.isascii() and label.isdigit() for label in labels):
        return [int(label) for label in labels], names
    return labels, names


def _of_table(file: str, names: Sequence[str]) -> list[str]:
    """The label of each image by a CSV of file,label, with or without a header."""
    rows = [row for row in csv.reader(_text_of(file).splitlines()) if row]
    wrong = next((row for row in rows if len(row) != 2), None)
    if wrong is not None:
        raise OptionError(f"{file}: {','.join(wrong)!r:.100} is not file,label")
    label_of = {name: label.strip() for name, label in rows}
    missing = [name for name in names if name not in label_of]
    if missing:
        raise OptionError(
            f"{file} has no line for {missing[0]} and {len(missing) - 1} others; a line is "
            f"file,label, with the file's path below the directory of photos"
        )
    return [label_of[name] for name in names]


def _text_of(file: str) -> str:
    path = Path(file)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise OptionError(f"{file} is larger than {_MAX_BYTES} bytes")
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{file} cannot be read as text ({error!s:.200})") from error

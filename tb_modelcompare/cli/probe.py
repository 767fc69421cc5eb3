"""The probe of a command that logs: photos of a directory, or what a run was logged on."""

from __future__ import annotations

import argparse
from pathlib import Path

from tb_modelcompare.cli.text import printable, say
from tb_modelcompare.errors import OptionError
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.stored import stored_probes

# Of photos alone, and what they are where they are left out.
PHOTO_OPTIONS = {"size": 224, "limit": 1000, "positions": 4, "seed": 0}


def probe_of(arguments: argparse.Namespace) -> Probe:
    """The probe that `--probe` and the options beside it ask for."""
    given = {name: getattr(arguments, name) for name in PHOTO_OPTIONS}
    if stored_probes(Path(arguments.probe)):
        extra = [f"--{name}" for name, value in given.items() if value is not None]
        if extra:
            raise OptionError(
                f"{arguments.probe} is a run, whose probe is taken as it is; leave out "
                f"{', '.join(extra)}, or give a directory of photos"
            )
        probe = Probe.from_run(arguments.probe)
        say(printable(f"probe {probe.id[:8]} of {arguments.probe}: {_described(probe)}"))
        return probe
    chosen = {
        name: PHOTO_OPTIONS[name] if value is None else value for name, value in given.items()
    }
    positions = chosen.pop("positions")
    probe = Probe.from_directory(arguments.probe, positions_per_image=positions, **chosen)
    say(f"probe {probe.id[:8]}: {_described(probe)}")
    return probe


def _described(probe: Probe) -> str:
    return f"{len(probe)} {'photos' if probe.is_of_images else 'arrays'}, {probe.rows} rows"

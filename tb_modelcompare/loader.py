"""TensorBoard's entry point: light, and no reason for TensorBoard not to start.

Only a value of our own flags that could not be followed is one.

TensorBoard imports this module whenever it starts, in any project of the environment, and
does not guard that import. So nothing here needs more than TensorBoard itself; the plugin
proper is imported inside `load`.
"""

from __future__ import annotations

import argparse
import math
import re
from typing import Any

from tensorboard.plugins import base_plugin
from tensorboard.util import tb_logging

from tb_modelcompare.log.format import PLUGIN_NAME
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE, DEVICE_HELP, device_argument

_logger = tb_logging.get_logger()

_MOST_GB = 1_000_000
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")  # or IPv6
_SCHEDULER = re.compile(r"([a-z]+://)?[^\s/]*[^\s/:](:\d+)?(/\S*)?")


class ModelCompareLoader(base_plugin.TBLoader):  # type: ignore[misc]
    """Defines the plugin's flags and builds the plugin, or says why it cannot."""

    def define_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add the `--modelcompare_*` flags."""
        group = parser.add_argument_group("model comparison (tb-modelcompare)")
        group.add_argument(
            "--modelcompare_scheduler",
            metavar="ADDRESS",
            default="",
            help="Run similarity and rendering jobs on the dask.distributed scheduler at this "
            "address (tcp://host:8786) instead of in local processes. Its workers must see the "
            "log directory and the cache directory under the same paths.",
        )
        group.add_argument(
            "--modelcompare_cache_gb",
            metavar="GB",
            type=float,
            default=4.0,
            help="Bound on the disk space of cached matrices and pictures, in the user's cache "
            "directory or in $TB_MODELCOMPARE_CACHE (default: 4).",
        )
        group.add_argument(
            "--modelcompare_hosts",
            metavar="HOST[,HOST]",
            default="",
            help="Names under which TensorBoard is reached, beside localhost, by a proxy or with "
            "--bind_all; * for any. If given, requests under other names are refused.",
        )
        group.add_argument(
            "--modelcompare_device",
            metavar="DEVICE",
            type=device_argument,
            default=DEFAULT_DEVICE,
            help=f"{DEVICE_HELP[0].upper()}{DEVICE_HELP[1:]} (default: {DEFAULT_DEVICE}).",
        )

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Refuse what our flags do not take, and keep every step.

        A snapshot's record is small, and sampling would hide models.

        Raises
        ------
        FlagsError
            If a flag of ours has a value that could not be followed; TensorBoard prints it and
            does not start.
        """
        _check(flags)
        flags.samples_per_plugin.setdefault(PLUGIN_NAME, 0)

    def load(self, context: base_plugin.TBContext) -> Any:
        """The plugin, or None with a warning if something that it needs is broken."""
        try:
            from tb_modelcompare.server.plugin import ModelComparePlugin

            return ModelComparePlugin(context)
        except Exception as error:  # noqa: BLE001  broken binaries raise anything at import
            _logger.warning(
                "The model comparison tab is off: %s: %s. Reinstall it with "
                "`pip install --force-reinstall tb-modelcompare`. "
                "All other tabs work as usual.",
                type(error).__name__,
                error,
            )
            return None


def _check(flags: argparse.Namespace) -> None:
    size = getattr(flags, "modelcompare_cache_gb", 0.0)
    is_number = isinstance(size, (int, float)) and not isinstance(size, bool)
    if not is_number or not math.isfinite(size) or not 0 <= size <= _MOST_GB:
        raise base_plugin.FlagsError(
            f"--modelcompare_cache_gb is {size!r:.50}; give a number of gigabytes from 0 to "
            f"{_MOST_GB}"
        )
    for host in filter(
        None, map(str.strip, (getattr(flags, "modelcompare_hosts", "") or "").split(","))
    ):
        if host != "*" and not _HOST.fullmatch(host):
            raise base_plugin.FlagsError(
                f"--modelcompare_hosts holds {host!r:.200}; give names such as lab.example, "
                f"without a scheme, a port or a path, or * for any"
            )
    address = getattr(flags, "modelcompare_scheduler", "")
    if address and not _SCHEDULER.fullmatch(address):
        raise base_plugin.FlagsError(
            f"--modelcompare_scheduler is {address!r:.200}; give an address such as tcp://host:8786"
        )

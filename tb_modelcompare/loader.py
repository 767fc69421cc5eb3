"""TensorBoard's entry point: light, and unable to stop TensorBoard from starting.

TensorBoard imports this module whenever it starts, in any project of the environment, and
does not guard that import. So nothing here needs more than TensorBoard itself; the plugin
proper is imported inside `load`.
"""

from __future__ import annotations

import argparse
from typing import Any

from tensorboard.plugins import base_plugin
from tensorboard.util import tb_logging

from tb_modelcompare.device import DEFAULT_DEVICE, DEVICE_HELP, device_argument
from tb_modelcompare.metadata import PLUGIN_NAME

_logger = tb_logging.get_logger()


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
        """Keep every step: a snapshot's record is small, and sampling would hide models."""
        flags.samples_per_plugin.setdefault(PLUGIN_NAME, 0)

    def load(self, context: base_plugin.TBContext) -> Any:
        """The plugin, or None with a warning if something that it needs is broken."""
        try:
            from tb_modelcompare.plugin import ModelComparePlugin

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

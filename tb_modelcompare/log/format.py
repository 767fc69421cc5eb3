"""Names and versions that the writer and every reader of a log directory share."""

from __future__ import annotations

from typing import Any, Literal, get_args

PLUGIN_NAME = "modelcompare"
RECORD_VERSION = 3
# Former ones: a file for each layer; the second is of snapshots on a probe of arrays.
IMAGES_VERSION, ARRAYS_VERSION = 1, 2
PROBE_VERSION = 1
# Of activations; versions before 3 have the first alone.
Dtype = Literal["float32", "float16"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)

# Relative to the run directory; TensorBoard's own convention for plugin assets.
ASSET_ROOT = f"plugins/{PLUGIN_NAME}"
# Apart from the snapshots' directories, as a snapshot may refer to arrays of a former one.
ARRAYS_FOLDER = f"{ASSET_ROOT}/arrays"

# An index names files and holds no data: 20,000 layers still fit.
MAX_INDEX_BYTES = 16 * 2**20
MAX_LAYERS = 20_000


def summary_metadata() -> Any:
    """Metadata of an index record: explicit data class, so that TensorBoard lists it."""
    from tensorboard.compat.proto import summary_pb2

    return summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(
            plugin_name=PLUGIN_NAME, content=b'{"version": %d}' % RECORD_VERSION
        ),
        data_class=summary_pb2.DATA_CLASS_TENSOR,
    )

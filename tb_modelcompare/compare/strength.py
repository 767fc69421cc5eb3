"""How strong a picture is among the images of the probe."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tb_modelcompare.log.snapshot import Snapshot


def share_of_weaker_images(
    snapshot: Snapshot, layer: str, direction: npt.ArrayLike, activity: float
) -> float:
    """Share of the probe's images that a picture exceeds along a direction; ties count half.

    An image's activity is the mean over its positions, as a picture's is.

    Parameters
    ----------
    snapshot : Snapshot
    layer : str
    direction : array (units,)
    activity : float
        Of the picture, as `picture_activities` gives it.

    Returns
    -------
    float
        From 0, weaker than every image, to 1.
    """
    along = snapshot.activations(layer) @ np.asarray(direction, np.float64)
    image_of_row = snapshot.image_of_row()
    rows = np.bincount(image_of_row)
    means = np.bincount(image_of_row, along)[rows > 0] / rows[rows > 0]
    return float(np.mean((means < activity) + (means == activity) / 2))

"""Imported first by a program: TensorBoard as it is where TensorFlow is not installed.

TensorFlow's import takes most of the time of a program that only asks a server something.
"""

from __future__ import annotations

import sys

sys.modules["tensorboard.compat.notf"] = sys

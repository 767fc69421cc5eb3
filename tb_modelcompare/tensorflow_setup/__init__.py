"""TensorFlow: its import without noise, and the device that it computes on."""

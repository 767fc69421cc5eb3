"""A demonstration on real photographs: train small networks here and now, compare them.

Needs no network and no data beyond scikit-image's wheel.
"""

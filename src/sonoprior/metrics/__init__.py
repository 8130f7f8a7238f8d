"""Metrics: arrays in, numbers out. No torch, no files, no knowledge of runs."""

from .bootstrap import Interval, Mean, Pair, Sample, averaged, interval, paired_difference
from .classification import SCALARS, Scalar, classification

__all__ = [
    "SCALARS",
    "Interval",
    "Mean",
    "Pair",
    "Sample",
    "Scalar",
    "averaged",
    "classification",
    "interval",
    "paired_difference",
]

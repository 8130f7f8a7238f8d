"""Metrics: arrays in, numbers out. No torch, no files, no knowledge of runs."""

from .bootstrap import Interval, Mean, Pair, Sample, averaged, interval, paired_difference
from .classification import SCALARS, Scalar, classification
from .corrected_t import CorrectedT, corrected_t
from .several import holm

__all__ = [
    "SCALARS",
    "CorrectedT",
    "Interval",
    "Mean",
    "Pair",
    "Sample",
    "Scalar",
    "averaged",
    "classification",
    "corrected_t",
    "holm",
    "interval",
    "paired_difference",
]

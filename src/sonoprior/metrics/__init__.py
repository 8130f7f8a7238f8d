"""Metrics: arrays in, numbers out. No torch, no files, no knowledge of runs."""

from .bootstrap import Interval, Mean, Pair, Sample, averaged, interval, paired_difference
from .catalogue import Metric, metric_named, metric_names, monitor_names
from .classification import SCALARS, Scalar, classification
from .corrected_t import CorrectedT, corrected_t
from .several import holm

__all__ = [
    "SCALARS",
    "CorrectedT",
    "Interval",
    "Mean",
    "Metric",
    "Pair",
    "Sample",
    "Scalar",
    "averaged",
    "classification",
    "corrected_t",
    "holm",
    "interval",
    "metric_named",
    "metric_names",
    "monitor_names",
    "paired_difference",
]

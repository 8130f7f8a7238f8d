"""Metrics: arrays in, numbers out. No torch, no files, no knowledge of runs."""

from .bootstrap import Interval, Pair, interval, paired_difference
from .classification import SCALARS, Scalar, classification

__all__ = ["SCALARS", "Interval", "Pair", "Scalar", "classification", "interval", "paired_difference"]

"""One measure of one variant, over all its runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sonoprior.metrics import Interval

from .differences import Difference
from .measures import Measure


@dataclass(frozen=True)
class Outcome:
    """One measure of one variant on the test cases.

    Attributes:
        variant: its name.
        measure: what was measured.
        of_runs: the number of each run.
        interval: their mean with its bounds.
        reference: the variant that it is compared with; None for one that is compared with none.
        difference: to the reference; None without one, or without a run in common.
    """

    variant: str
    measure: Measure
    of_runs: Sequence[float]
    interval: Interval
    reference: str | None
    difference: Difference | None

    @property
    def std(self) -> float:
        """Sample standard deviation over runs; NaN for fewer than two."""
        return float(np.nanstd(self.of_runs, ddof=1)) if np.isfinite(self.of_runs).sum() > 1 else float("nan")

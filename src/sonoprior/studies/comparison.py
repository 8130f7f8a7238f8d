"""Two runs compared on the test cases that they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError
from sonoprior.metrics import Interval

from .differences import difference
from .finished import FinishedRun
from .measures import Measure, available


@dataclass(frozen=True)
class Compared:
    """One measure of both runs on the shared cases.

    Attributes:
        measure: what was measured.
        a: of the first run.
        b: of the second run.
        difference: b minus a, with its interval.
        cases: how many cases it rests on.
    """

    measure: Measure
    a: float
    b: float
    difference: Interval
    cases: int

    def plain(self) -> dict[str, Any]:
        """For JSON: None where a number is not defined."""
        value, low, high = self.difference
        row = {"a": self.a, "b": self.b, "difference": value, "low": low, "high": high}
        return {name: None if np.isnan(found) else found for name, found in row.items()} | {
            "cases": self.cases
        }


def compare_runs(first: Path, second: Path) -> Sequence[Compared]:
    """Compare two finished runs, case by case, in every measure that both have.

    The difference is second minus first; its interval draws patients or duplicate groups, both runs with
    the same draw.

    Args:
        first: a run folder, usually the baseline.
        second: a run folder.

    Raises:
        FolderError: if one is not a finished run.
        DataError: if they tell other classes apart, share no test case, name other labels for one, or have
            no measure in common.
    """
    base, treated = FinishedRun.read(first), FinishedRun.read(second)
    _check_comparable(base, treated)
    measures = available({"a": [base], "b": [treated]})
    if not measures:
        raise DataError(
            f"{first} and {second} have no measure in common, since one classifies and the other embeds."
        )
    found = [_compared(measure, base, treated) for measure in measures]
    return [row for row in found if row is not None]


def _compared(measure: Measure, base: FinishedRun, treated: FinishedRun) -> Compared | None:
    found = difference(measure, [(treated, base)])
    if found is None:
        return None
    pair = measure.pair(treated, base)
    return Compared(
        measure=measure,
        a=measure.statistic(*pair.shared, pair.baseline),
        b=measure.statistic(*pair.shared, pair.treated),
        difference=found.interval,
        cases=int(np.size(pair.groups)),
    )


def _check_comparable(first: FinishedRun, second: FinishedRun) -> None:
    if list(first.classes) != list(second.classes):
        raise DataError(
            f"two runs must have the same classes to be compared, but {first.folder} has"
            f" {listed(first.classes)} and {second.folder} has {listed(second.classes)}."
        )
    found = [run.measured() for run in (first, second)]
    labels = [dict(zip(of.cases.tolist(), of.labels.tolist(), strict=True)) for of in found]
    shared = labels[0].keys() & labels[1].keys()
    if not shared:
        raise DataError(f"{first.folder} and {second.folder} share no test case, so they cannot be compared.")
    other = sorted(case for case in shared if labels[0][case] != labels[1][case])
    if other:
        one, two = (first.classes[of[other[0]]] for of in labels)
        raise DataError(
            f"{first.folder} and {second.folder} must have the same labels, but '{other[0]}' is {one} in one"
            f" and {two} in the other."
        )

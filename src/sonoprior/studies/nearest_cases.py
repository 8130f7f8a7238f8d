"""What the nearest cases of an embedding say, beside its measures."""

from collections.abc import Sequence
from math import isnan

import numpy as np

from sonoprior.render.blocks import Paragraph

from .finished import FinishedRun


def changed_neighbours(
    variant: str, runs: Sequence[FinishedRun], baseline: str, others: Sequence[FinishedRun]
) -> Paragraph:
    """How many cases have found a case of their class first in one variant and not in the other."""
    ours, theirs = _right(runs), _right(others)
    cases = [case for case in ours if case in theirs]
    gained = sum(ours[case] and not theirs[case] for case in cases)
    lost = sum(theirs[case] and not ours[case] for case in cases)
    neither = sum(not ours[case] and not theirs[case] for case in cases)
    return Paragraph(
        f"Of {len(cases)} test cases whose class has other cases, {gained} have a nearest case of another"
        f" class in {baseline} and one of their own in {variant}, {lost} the other way round, and {neither}"
        " one of another class in both (their own, where it is so in more than half of the runs that tested"
        " them)."
    )


def _right(runs: Sequence[FinishedRun]) -> dict[str, bool]:
    """By case whether the nearest is of its class in more than half of the runs; not of what none answers."""
    of_leaf = runs[0].found[0]
    values: dict[str, list[float]] = {}
    for table in (run.retrieval() for run in runs):
        for case, value in zip(table["case"], table[of_leaf], strict=True):
            if not isnan(value):
                values.setdefault(str(case), []).append(float(value))
    return {case: float(np.mean(found)) > 0.5 for case, found in values.items()}


def by_chance(run: FinishedRun, part: str = "test") -> float:
    """How often another case, drawn by chance, is of the class of a case; NaN for a single case."""
    counts, cases = np.bincount(run.measured(part).labels), len(run.measured(part))
    return float((counts * (counts - 1)).sum() / (cases * (cases - 1))) if cases > 1 else float("nan")

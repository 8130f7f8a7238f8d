"""What the nearest cases of an embedding say, beside its measures."""

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    """How often a case drawn by chance, of those that may be found for a case, is of its class.

    A mean over the cases for which there is such a one, as every measure is; NaN where there is none.
    """
    table = run.retrieval(part)
    labels, cases = (np.asarray(table[name]) for name in (f"label.{next(iter(run.levels))}", "case"))
    kept = run.recipe.retrieval.own_group == "kept"
    groups = cases if kept else np.where(table["group"] == "", cases, table["group"])
    answers = _alike(labels) - _alike(labels, groups)
    asked = answers > 0
    return float((answers / (len(cases) - _alike(groups)))[asked].mean()) if asked.any() else float("nan")


def _alike(*keys: NDArray[Any]) -> NDArray[np.int64]:
    """How many cases share the keys of each, itself included, (n,)."""
    numbers = np.stack([np.unique(key, return_inverse=True)[1] for key in keys])
    _, which, counts = np.unique(numbers, axis=1, return_inverse=True, return_counts=True)
    return counts[which.ravel()]

"""What was found for a query: a case of its class, of a cousin of its class, or a far one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sonoprior.cases.case_set import CaseSet

from .embedded import EmbeddedCases, Lineage, embedded, lineage
from .finished import FinishedRun

Verdict = Literal["right", "near", "far", "unknown"]


def verdict(query: str, found: str, of: Lineage) -> Verdict:
    """What a case of one class is to a query of another.

    Args:
        query: the class of the query at the lowest level.
        found: that of the case; empty where it is unknown.
        of: what the classes are of one level up.

    Returns:
        "right": of the same class; "near": of a cousin, a class that is of the same one level up; "far": of
        another; "unknown" where the case's class, or what a class is of, is not known. Without a level above,
        whatever is not right is far.
    """
    if not found:
        return "unknown"
    if query == found:
        return "right"
    if not of.up:
        return "far"
    above = of.parent.get(query, ""), of.parent.get(found, "")
    if not all(above):
        return "unknown"
    return "near" if above[0] == above[1] else "far"


@dataclass(frozen=True)
class HowWrong:
    """The nearest cases of all queries of a variant, over its runs.

    Attributes:
        counts: how many are right, near, far and of unknown kind.
        confusions: (class of the query, class of the nearest case) to how often, where these differ.
        by_lot: the share of cousins among the test cases of other classes, a mean over the queries that went
            wrong: what a wrong case drawn by lot would be; NaN where none went wrong.
    """

    counts: Mapping[Verdict, int]
    confusions: Mapping[tuple[str, str], int]
    by_lot: float

    @property
    def wrong(self) -> int:
        """How many nearest cases are of another class."""
        return sum(self.confusions.values())


def how_wrong(runs: Sequence[FinishedRun], case_set: CaseSet | None = None) -> HowWrong:
    """What the nearest cases of a variant's queries are, without the queries that no case could answer.

    Args:
        runs: of the variant.
        case_set: tells the classes of cases that were not measured, as the training cases; needed only where
            these were searched.

    Raises:
        FolderError: if a run is damaged.
    """
    counts: Counter[Verdict] = Counter()
    confusions: Counter[tuple[str, str]] = Counter()
    lots: list[float] = []
    for run in runs:
        cases, of = embedded(run), lineage(run)
        known = classes_of(cases, of, case_set)
        asked = cases.labels[of.level]
        lot = _cousins_by_lot(asked.tolist(), of)
        for query, near in zip(asked[cases.answerable], cases.nearest[cases.answerable], strict=True):
            found = known.get(str(near), "")
            kind = verdict(str(query), found, of)
            counts[kind] += 1
            if found and kind != "right":
                confusions[str(query), found] += 1
                lots.append(lot[str(query)])
    return HowWrong(counts, confusions, float(np.mean(lots)) if lots else float("nan"))


def classes_of(cases: EmbeddedCases, of: Lineage, case_set: CaseSet | None) -> dict[str, str]:
    """The class at the lowest level of every case whose class is known: the measured ones and others."""
    known: dict[str, str] = {}
    if case_set is not None and of.level in case_set.info.levels:
        names = case_set.classes(of.level)
        labels = case_set.labels(of.level)
        known = {case: names[at] for case, at in zip(case_set.ids, labels, strict=True) if at >= 0}
    return known | dict(zip(cases.cases.tolist(), cases.labels[of.level].tolist(), strict=True))


def _cousins_by_lot(labels: Sequence[str], of: Lineage) -> dict[str, float]:
    """By class the share of cousins among the cases of other classes."""
    counts = Counter(labels)
    shares: dict[str, float] = {}
    for query in counts:
        others = {name: number for name, number in counts.items() if name != query}
        cousins = sum(number for name, number in others.items() if verdict(query, name, of) == "near")
        shares[query] = cousins / max(sum(others.values()), 1)
    return shares

"""Dealing whole groups to parts of given sizes, so that every part looks like the whole.

scikit-learn's `StratifiedGroupKFold` does this for equal parts, without promising every class to every
part; its balance is the yardstick of the tests.
"""

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import DataError

Counts = NDArray[np.int64]


class RareClassError(DataError):
    """A class has too few groups for the parts that were asked for."""

    def __init__(self, kind: int, groups: int, parts: int) -> None:
        self.kind, self.groups, self.parts = kind, groups, parts
        super().__init__(self.about(f"class {kind}"))

    def about(self, name: str) -> str:
        """The sentence, with the class called as its data set calls it."""
        return (
            f"{name} cannot come into each of {self.parts} parts without cutting a group (patient, exam or"
            f" near-duplicates): its cases are in {self.groups}; ask for fewer parts."
        )


def count_by_group(codes: NDArray[np.integer], group_of: NDArray[np.integer]) -> Counts:
    """How many cases of each code a group holds, (groups, codes); codes in ascending order."""
    kinds, kind_of = np.unique(codes, return_inverse=True)
    counts = np.zeros((int(group_of.max(initial=-1)) + 1, len(kinds)), dtype=np.int64)
    np.add.at(counts, (group_of, kind_of), 1)
    return counts


def deal(counts: Counts, classes: Counts, shares: NDArray[np.float64], draw: np.random.Generator) -> Counts:
    """The part of each group.

    First every part gets a group of each class, the rarest class first. Then the groups go, large ones
    first, to the part that misses most of what they hold.

    Args:
        counts: (groups, strata) cases of each stratum.
        classes: (groups, classes) cases of each class, 0 upwards; every part gets all of them.
        shares: (parts,) of the cases, adding up to 1; none of them 0.
        draw: shuffles groups of the same size.

    Returns:
        (groups,) a part each.

    Raises:
        RareClassError: if a class cannot come into every part.
    """
    hand = _Hand(counts, shares)
    shuffled = draw.permutation(len(counts))
    small_first = shuffled[np.argsort(counts.sum(axis=1)[shuffled], kind="stable")]
    for kind in np.argsort((classes > 0).sum(axis=0), kind="stable"):
        holders = small_first[classes[small_first, kind] > 0]
        if len(holders) and not hand.give_one_to_each(holders):
            raise RareClassError(int(kind), len(holders), len(shares))
    for group in small_first[hand.part_of[small_first] < 0][::-1]:
        hand.give(group, hand.neediest(group))
    return hand.part_of


class _Hand:
    """What each part still misses while groups are dealt."""

    def __init__(self, counts: Counts, shares: NDArray[np.float64]) -> None:
        self._counts = counts
        # What counts is the fraction of a stratum that is missing, so rare strata are spread as evenly.
        self._weights = counts / counts.sum(axis=0) ** 2
        self._small_first = np.argsort(shares, kind="stable")
        self._missing = shares[:, None] * counts.sum(axis=0)  # (parts, strata)
        self.part_of = np.full(len(counts), -1)

    def give(self, group: int, part: int) -> None:
        self.part_of[group] = part
        self._missing[part] -= self._counts[group]

    def neediest(self, group: int) -> int:
        """The part where the sum of squared misses falls most; among equals the emptiest."""
        needs = np.round(self._missing @ self._weights[group], 12)
        return int(np.lexsort((self._missing.sum(axis=1), needs))[-1])

    def give_one_to_each(self, groups: NDArray[np.integer]) -> bool:
        """Give each part one of these groups, unless it has one; whether there were enough."""
        served = self.part_of[groups]
        parts = self._small_first[~np.isin(self._small_first, served)]
        free = groups[served < 0]
        for group, part in zip(free, parts, strict=False):
            self.give(group, part)
        return len(free) >= len(parts)

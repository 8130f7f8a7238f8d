"""An open-set split: classes are tested that were neither trained nor validated with, as in `000`, 3.5.1.1.

A group (patient, exam, near-duplicates) is not cut here either. One that holds classes of both sides goes to
one side as a whole, where only its cases of that side's classes are kept.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

from .dealing import Counts, RareClassError, count_by_group, deal
from .splits import Groups, Labels, Split, single_split

_TRAINING, _TEST = 0, 1
_SIDES = ("training", "test")


class NoGroupLeftError(RareClassError):
    """Every group of a class is needed by a class of the other side."""

    def about(self, name: str) -> str:
        """The sentence, with the class called as its data set calls it."""
        return (
            f"{name} finds no group (patient, exam or near-duplicates) on its side of an open set: its cases"
            f" are in {self.groups}, which classes of the other side need; put it on the other side."
        )


def open_set(
    labels: Labels,
    groups: Groups,
    test_classes: Sequence[int],
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    *,
    strata: Labels | None = None,
) -> Split:
    """One split whose test part holds other classes than training and validation.

    A case of unknown class comes into no part, since it may show a class that is tested.

    Args:
        labels: (n,) class of each case, -1 where unknown.
        groups: (n,) what each case belongs to; no group is on both sides.
        test_classes: those that are tested; all others are trained and validated with.
        validation: fraction of the training side; 0 leaves validation empty.
        test: fraction of the cases in groups that hold classes of both sides.
        seed: of the order in which groups are dealt.
        strata: (n,) what is spread evenly over the parts; the labels, if not given.

    Raises:
        DataError: if a fraction is out of range, or a side has fewer than two classes.
        RareClassError: if a class would lose all its cases, or a class of the training side has fewer groups
            there than there are parts.
    """
    if not 0 < test < 1:
        raise DataError(f"the fraction for test must be above 0 and below 1, but got {test:g}.")
    known = np.flatnonzero(labels >= 0)
    strata = (labels if strata is None else strata)[known]
    home = np.isin(labels[known], test_classes).astype(np.int64)
    _check_classes(labels[known], home)
    _, group_of = np.unique(groups[known], return_inverse=True)
    parts = 2 if validation > 0 else 1
    side = _sides(labels[known], home, strata, group_of, (parts, 1), test, generator(seed, "open set"))
    kept = side[group_of] == home
    trains = kept & (home == _TRAINING)
    train, fractions = known[trains], (1 - validation, validation, 0)
    divided = single_split(labels[train], groups[train], fractions, seed, strata=strata[trains])
    return {
        "train": train[divided["train"]],
        "validation": train[divided["validation"]],
        "test": known[kept & (home == _TEST)],
    }


def _check_classes(labels: Labels, home: Labels) -> None:
    for side, name in enumerate(_SIDES):
        classes = len(np.unique(labels[home == side]))
        if classes < 2:
            raise DataError(
                f"an open set needs cases of at least two classes for {name}, but has {classes}; choose other"
                " classes to test with."
            )


def _sides(
    labels: Labels,
    home: Labels,
    strata: Labels,
    group_of: NDArray[np.integer],
    wanted: tuple[int, int],
    test: float,
    draw: np.random.Generator,
) -> NDArray[np.int64]:
    """The side of each group, (groups,): 0 training, 1 test.

    Args:
        labels: (n,) class of each case.
        home: (n,) the side that its class belongs to.
        strata: (n,) what is spread evenly.
        group_of: (n,) number of its group.
        wanted: groups that a class of the training and of the test side needs there.
        test: fraction of the cases in groups of both sides.
        draw: of the order in which groups are dealt.
    """
    kinds = count_by_group(home, group_of)
    side = np.select([kinds[:, _TEST] == 0, kinds[:, _TRAINING] == 0], [_TRAINING, _TEST], -1)
    own = np.unique(np.stack([labels, home]), axis=1)
    _serve_every_class(side, count_by_group(labels, group_of), own, wanted, draw)
    rest = np.flatnonzero(side < 0)
    if len(rest):
        counts = count_by_group(strata, group_of)[rest]
        held = counts[:, counts.any(axis=0)]
        side[rest] = deal(held, np.zeros((len(rest), 0), np.int64), np.array([1 - test, test]), draw)
    return side


def _serve_every_class(
    side: NDArray[np.int64],
    counts: Counts,
    own: NDArray[np.integer],
    wanted: tuple[int, int],
    draw: np.random.Generator,
) -> None:
    """Give each class the groups that it cannot do without, the rarest class first, small groups first.

    Args:
        side: (groups,) -1 where undecided; changed in place.
        counts: (groups, classes) cases of each class.
        own: (2, classes) number of each class, and its side.
        wanted: groups that a class of the training and of the test side needs.
        draw: shuffles groups of the same size.
    """
    shuffled = draw.permutation(len(counts))
    small_first = shuffled[np.argsort(counts.sum(axis=1)[shuffled], kind="stable")]
    for kind in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        number, home = own[:, kind]
        holders = small_first[counts[small_first, kind] > 0]
        missing = max(0, wanted[home] - int((side[holders] == home).sum()))
        side[holders[side[holders] < 0][:missing]] = home
        if not (side[holders] == home).any():
            raise NoGroupLeftError(int(number), len(holders), 1)

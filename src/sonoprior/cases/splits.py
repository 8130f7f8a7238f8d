"""Dividing cases into train, validation and test: stratified, reproducible, and never through a group.

A group is what must stay together: the images of a patient, an exam, near-duplicates.
"""

from collections.abc import Iterable, Sequence
from math import isclose
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sonoprior.core.checks import within
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

from .case_set import CaseSet
from .columns import SPLIT_PARTS
from .dealing import count_by_group, deal

Positions: TypeAlias = NDArray[np.int64]
Labels: TypeAlias = NDArray[np.integer]
Groups: TypeAlias = NDArray[np.generic]
Split: TypeAlias = dict[str, Positions]
"""Part ("train", "validation", "test") to sorted positions of cases."""


def single_split(
    labels: Labels,
    groups: Groups,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    *,
    strata: Labels | None = None,
) -> Split:
    """One split into train, validation and test.

    Args:
        labels: (n,) class of each case, -1 where unknown; every class comes into every part.
        groups: (n,) what each case belongs to; no group is cut.
        fractions: of the cases, for train, validation and test; 0 leaves a part empty.
        seed: of the order in which groups are dealt.
        strata: (n,) what is spread evenly over the parts; the labels, if not given.

    Raises:
        DataError: if the fractions are not three that add up to 1, there is one class only, or a class has
            fewer groups than there are parts.
    """
    shares = _checked_fractions(fractions)
    parts = _dealt(labels, groups, labels if strata is None else strata, shares, generator(seed, "hold-out"))
    return {part: np.flatnonzero(parts == number) for number, part in enumerate(SPLIT_PARTS)}


def cross_evaluation(
    labels: Labels,
    groups: Groups,
    folds: int,
    validation: float = 0.1,
    seed: int = 0,
    *,
    strata: Labels | None = None,
) -> list[Split]:
    """As many splits as folds; each case is tested in exactly one of them.

    Args:
        labels: (n,) class of each case, -1 where unknown; every class comes into every part.
        groups: (n,) what each case belongs to; no group is cut.
        folds: how many, at least 2.
        validation: fraction of the cases that are not tested; 0 leaves validation empty.
        seed: of the order in which groups are dealt.
        strata: (n,) what is spread evenly over the parts; the labels, if not given.

    Raises:
        DataError: if there are fewer groups than folds, one class only, or a class with fewer groups than
            there are parts.
    """
    if folds < 2:
        raise DataError(f"the number of folds must be at least 2, but got {folds}.")
    within("the fraction for validation", validation, 0, 0.9, DataError)
    strata = labels if strata is None else strata
    fold_of = _dealt(labels, groups, strata, [1 / folds] * folds, generator(seed, "folds"))
    return [
        _with_validation(
            fold_of == fold, labels, groups, strata, validation, generator(seed, "validation", fold)
        )
        for fold in range(folds)
    ]


def fixed_test(
    labels: Labels,
    groups: Groups,
    folds: int,
    test: float | Positions,
    seed: int = 0,
    *,
    strata: Labels | None = None,
) -> list[Split]:
    """As many splits as folds, all with the same test part; each other case validates in exactly one of them.

    Args:
        labels: (n,) class of each case, -1 where unknown; every class comes into every part.
        groups: (n,) what each case belongs to; no group is cut.
        folds: how many, at least 2.
        test: fraction of the cases, or the positions of the test cases where they are known.
        seed: of the order in which groups are dealt.
        strata: (n,) what is spread evenly over the parts; the labels, if not given.

    Raises:
        DataError: as `cross_evaluation`.
    """
    if folds < 2:
        raise DataError(f"the number of folds must be at least 2, but got {folds}.")
    strata = labels if strata is None else strata
    if isinstance(test, float):
        shares, draw = [1 - test, test], generator(seed, "fixed test")
        tested = _dealt(labels, groups, strata, shares, draw) == 1
    else:
        tested = np.isin(np.arange(len(labels)), test)
    rest = np.flatnonzero(~tested)
    equal, draw = [1 / folds] * folds, generator(seed, "folds")
    fold_of = _dealt(labels[rest], groups[rest], strata[rest], equal, draw)
    return [
        {"train": rest[fold_of != fold], "validation": rest[fold_of == fold], "test": np.flatnonzero(tested)}
        for fold in range(folds)
    ]


def own_parts(case_set: CaseSet) -> Split:
    """The parts that the column `split` of a case set names, each possibly empty.

    Raises:
        DataError: if they cut a group.
    """
    column = case_set.column("split")
    split: Split = {part: np.flatnonzero(column == part) for part in SPLIT_PARTS}
    _check_uncut(case_set, split)
    return split


def given(
    case_set: CaseSet,
    labels: Labels,
    groups: Groups,
    validation: float = 0.0,
    seed: int = 0,
    *,
    strata: Labels | None = None,
) -> Split:
    """The split that the case set brings in its column `split`; a case without a part is left out.

    Args:
        case_set: the cases.
        labels: (n,) class of each case, -1 where unknown; it counts where a validation part is taken.
        groups: (n,) what each case belongs to; taking validation cuts none.
        validation: where the set has no validation part, the fraction of its training part to take.
        seed: of that.
        strata: (n,) what validation holds in proportion; the labels, if not given.

    Raises:
        DataError: if the column is missing, has no training or no test cases, or cuts a group.
    """
    split = own_parts(case_set)
    for part in ("train", "test"):
        if not split[part].size:
            raise DataError(
                f"{case_set.root}: the column 'split' must name cases for {part}, but names none."
            )
    if validation > 0 and not split["validation"].size:
        train, fractions = split["train"], (1 - validation, validation, 0)
        of = None if strata is None else strata[train]
        divided = single_split(labels[train], groups[train], fractions, seed, strata=of)
        split |= {part: train[divided[part]] for part in ("train", "validation")}
    return split


def label_fraction(
    positions: Positions,
    labels: Labels,
    groups: Groups,
    fraction: float,
    seed: int = 0,
    *,
    strata: Labels | None = None,
) -> Positions:
    """A fraction of the training cases, as if only these had been labelled.

    Fractions are nested: what a smaller one keeps, a larger one with the same seed keeps too. At least one
    group of every class is kept.

    Args:
        positions: (m,) the training cases.
        labels: (n,) class of each case of the set, -1 where unknown.
        groups: (n,) what each case of the set belongs to; no group is cut.
        fraction: of the training cases, above 0 and up to 1.
        seed: of the order in which groups are taken.
        strata: (n,) what is kept in proportion; the labels, if not given.

    Returns:
        The kept positions, in the order of `positions`.

    Raises:
        DataError: if the fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise DataError(f"the fraction of labels must be above 0 and at most 1, but got {fraction}.")
    strata = labels if strata is None else strata
    group_of = _numbered(groups[positions])
    classes = _class_counts(labels[positions], group_of)
    counts = count_by_group(strata[positions], group_of)
    order, first = _taking_order(classes, counts, generator(seed, "label fraction"))
    taken = np.cumsum(np.bincount(group_of)[order])
    count = max(first, int(np.searchsorted(taken, round(fraction * len(positions)), side="right")))
    return positions[np.isin(group_of, order[:count])]


def set_aside(
    positions: Positions,
    labels: Labels,
    groups: Groups,
    fraction: float,
    seed: int = 0,
    *,
    strata: Labels | None = None,
) -> tuple[Positions, Positions]:
    """Divide the cases of a part in two: those that stay, and those that are set aside.

    Args:
        positions: (m,) cases of the set.
        labels: (n,) class of each case of the set, -1 where unknown; every class comes into both.
        groups: (n,) what each case of the set belongs to; no group is cut.
        fraction: of the positions that is set aside, above 0 and below 1.
        seed: of the order in which groups are dealt.
        strata: (n,) what is spread evenly over both; the labels, if not given.

    Raises:
        DataError: if there is one class only, or a class has one group only.
    """
    strata = labels if strata is None else strata
    shares, draw = [1 - fraction, fraction], generator(seed, "set aside")
    part = _dealt(labels[positions], groups[positions], strata[positions], shares, draw)
    return positions[part == 0], positions[part == 1]


def merged_groups(groups: Groups, pairs: Iterable[Sequence[int]]) -> NDArray[np.str_]:
    """Join the groups of cases that are near-duplicates of each other.

    Args:
        groups: (n,) what each case belongs to.
        pairs: positions of two cases that belong together; what follows in a tuple is ignored.

    Returns:
        (n,) a joined group bears the name of its alphabetically first one.
    """
    names, group_of = np.unique(groups.astype(str), return_inverse=True)
    linked = np.array([(group_of[pair[0]], group_of[pair[1]]) for pair in pairs], dtype=int).reshape(-1, 2)
    links = coo_array((np.ones(len(linked)), linked.T), shape=(len(names), len(names)))
    _, component = connected_components(links, directed=False)
    _, first = np.unique(component, return_index=True)
    return names[first[component]][group_of]


def strata_with_marks(labels: Labels, marked: NDArray[np.bool_], smallest: int = 10) -> NDArray[np.int64]:
    """Strata that spread a mark, such as having an outline, evenly as well.

    Args:
        labels: (n,) class of each case.
        marked: (n,) whether a case has the mark.
        smallest: a class is divided by the mark only if both halves have this many cases.

    Returns:
        (n,) twice the label, plus 1 where the class is divided and the case has the mark.
    """
    divided = [
        label
        for label in np.unique(labels)
        if smallest <= marked[labels == label].sum() <= (labels == label).sum() - smallest
    ]
    return 2 * labels.astype(np.int64) + (marked & np.isin(labels, divided))


def _with_validation(
    tested: NDArray[np.bool_],
    labels: Labels,
    groups: Groups,
    strata: Labels,
    validation: float,
    draw: np.random.Generator,
) -> Split:
    rest = np.flatnonzero(~tested)
    parts = _dealt(labels[rest], groups[rest], strata[rest], [1 - validation, validation], draw)
    return {"train": rest[parts == 0], "validation": rest[parts == 1], "test": np.flatnonzero(tested)}


def _dealt(
    labels: Labels, groups: Groups, strata: Labels, shares: Sequence[float], draw: np.random.Generator
) -> NDArray[np.int64]:
    """The part of each case, (n,); a part whose share is 0 gets none."""
    used = np.flatnonzero(shares)
    group_of = _numbered(groups)
    _check_enough(labels, groups, len(used))
    part_of = deal(
        count_by_group(strata, group_of), _class_counts(labels, group_of), np.asarray(shares)[used], draw
    )
    return used[part_of[group_of]]


def _numbered(groups: Groups) -> NDArray[np.int64]:
    return np.unique(groups, return_inverse=True)[1]


def _class_counts(labels: Labels, group_of: NDArray[np.integer]) -> NDArray[np.int64]:
    """Cases of each class by group, (groups, classes); a class between two others may have none."""
    counts = np.zeros((int(group_of.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
    known = labels >= 0
    np.add.at(counts, (group_of[known], labels[known]), 1)
    return counts


def _check_enough(labels: Labels, groups: Groups, parts: int) -> None:
    if not len(labels) == len(groups):
        raise DataError(f"labels and groups must be as many, but got {len(labels)} and {len(groups)}.")
    classes = np.unique(labels[labels >= 0])
    if len(classes) < 2:
        raise DataError(f"a split needs cases of at least two classes, but got {len(classes)}.")
    found = len(np.unique(groups))
    if found < parts:
        raise DataError(
            f"{parts} parts need at least {parts} groups of cases (patients, exams or near-duplicates),"
            f" but there are {found}."
        )


def _checked_fractions(fractions: Sequence[float]) -> Sequence[float]:
    shown = ", ".join(f"{fraction:g}" for fraction in fractions)
    right = len(fractions) == len(SPLIT_PARTS) and min(fractions) >= 0 and isclose(sum(fractions), 1)
    if not right or fractions[0] == 0:
        raise DataError(
            "the fractions for train, validation and test must be three numbers from 0 that add up to 1,"
            f" the first above 0, but got {shown}."
        )
    return fractions


def _check_uncut(case_set: CaseSet, split: Split) -> None:
    groups, part_of = case_set.groups(), {}
    for part, positions in split.items():
        for group in groups[positions]:
            if part_of.setdefault(group, part) != part:
                raise DataError(
                    f"{case_set.root}: the column 'split' must keep a group together, but {group} is in"
                    f" {part_of[group]} and in {part}."
                )


def _taking_order(
    classes: NDArray[np.int64], counts: NDArray[np.int64], draw: np.random.Generator
) -> tuple[NDArray[np.int64], int]:
    """Groups in the order in which label fractions take them, and how many are taken in any case.

    Within each stratum the groups are shuffled and laid out evenly from 0 to 1; sorted by that place,
    every beginning holds about the same fraction of every stratum.
    """
    shuffled = draw.permutation(len(counts))
    # A group counts for the rarest stratum that it holds.
    stratum = np.where(counts > 0, counts.sum(axis=0), np.inf).argmin(axis=1)[shuffled]
    size = counts.sum(axis=1)[shuffled]
    place = np.empty(len(counts))
    for kind in np.unique(stratum):
        same = stratum == kind
        place[same] = (np.cumsum(size[same]) - size[same] / 2) / size[same].sum()
    order = shuffled[np.argsort(place, kind="stable")]
    first = _one_of_each(order, classes)
    return np.concatenate([first, order[~np.isin(order, first)]]), len(first)


def _one_of_each(order: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The earliest groups that together hold every class, the rarest class served first."""
    chosen: list[int] = []
    for kind in np.argsort((classes > 0).sum(axis=0), kind="stable"):
        holders = order[classes[order, kind] > 0]
        if len(holders) and not np.isin(holders, chosen).any():
            chosen.append(int(holders[0]))
    return np.array(chosen, dtype=np.int64)

"""Which cases train, validate and test: the recipe's protocol applied to a case set. Free of torch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.dealing import RareClassError
from sonoprior.cases.duplicates import duplicate_groups
from sonoprior.cases.open_set import open_set
from sonoprior.cases.splits import (
    cross_evaluation,
    fixed_test,
    given,
    label_fraction,
    merged_groups,
    own_parts,
    set_aside,
    single_split,
    strata_with_marks,
)
from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import DataError, FolderError
from sonoprior.core.folder import whole_file

from .recipe import DataSettings, SplitSettings

PARTS = ("train", "validation", "test")
CALIBRATION = "calibration"
UNLABELLED = "unlabelled"
Positions = NDArray[np.int64]
Parts = Mapping[str, Positions]


def case_groups(
    settings: SplitSettings, case_set: CaseSet, remembered: Path | None = None
) -> NDArray[np.str_]:
    """The group of each case, (n,): patient or exam, joined by near-duplicates.

    No split cuts it but a given one, which is taken as it is; nothing in it is found for another of it.

    Args:
        settings: says whether near-duplicates are kept together.
        case_set: the cases.
        remembered: a folder where the search for near-duplicates keeps its result.
    """
    groups = case_set.groups()
    if not settings.keep_duplicates_together:
        return groups
    same = duplicate_groups(case_set, remembered)
    return merged_groups(groups, [(int(first), case) for case, first in enumerate(same) if first != case])


def plan_parts(
    split: SplitSettings,
    data: DataSettings,
    case_set: CaseSet,
    groups: NDArray[np.str_],
    *,
    classifies: bool = True,
    streams: bool = False,
) -> list[Parts]:
    """The parts of every fold, by position in the case set; the same for every variant and seed.

    Args:
        split: the protocol.
        data: names the level.
        case_set: the cases.
        groups: (N,) what no split may cut.
        classifies: whether the network names classes: then what is measured must have been trained with.
        streams: whether the recipe has streams beside the labelled one, see `labelled_part`.

    Raises:
        DataError: if the cases cannot be split this way, or a part would be empty.
    """
    cases = _Cases(case_set, data, groups)
    try:
        whole = [_with_calibration(split, cases, fold) for fold in _protocol(split, cases)]
    except RareClassError as error:
        said = error.about(f"the class '{cases.names([error.kind])}'")
        raise DataError(f"{split.protocol}: {said}") from error
    folds = [labelled_part(split, data, case_set, groups, fold, streams=streams) for fold in whole]
    # In an open set the test classes are unseen on purpose; an embedding finds unseen ones anyway.
    seen = ("validation",) if split.protocol == "open_set" else ("validation", "test")
    seen = seen if classifies else ()
    return [_checked(dict(fold), cases, seen) for fold in folds]


def labelled_part(
    split: SplitSettings,
    data: DataSettings,
    case_set: CaseSet,
    groups: NDArray[np.str_],
    fold: Parts,
    *,
    streams: bool = False,
) -> Parts:
    """One fold with the share of its training cases whose labels are used.

    Shares are nested: what a smaller one keeps, a larger one keeps too. A share below 1 is one of the cases
    with a label, and leaves out those without.

    Args:
        split: says which share.
        data: names the level.
        case_set: the cases.
        groups: (N,) what no split may cut.
        fold: with all of its training side.
        streams: whether the recipe has streams beside the labelled one: then the training part is what has
            a label that is used, and all others of its side are the part "unlabelled".
    """
    if split.label_fraction == 1 and not streams:
        return fold
    cases, fraction, side = _Cases(case_set, data, groups), split.label_fraction, fold["train"]
    train = side[cases.labels[side] >= 0]
    if fraction < 1:
        train = label_fraction(train, cases.labels, groups, fraction, split.seed, strata=cases.strata)
    return {**fold, "train": train} | ({UNLABELLED: np.setdiff1d(side, train)} if streams else {})


def parts_in(names: Collection[str]) -> tuple[str, ...]:
    """The parts of labelled cases that a split has: a calibration part only if it is among the names."""
    return (*PARTS, CALIBRATION) if CALIBRATION in names else PARTS


def training_side(parts: Parts) -> Positions:
    """All cases that may be trained with: those whose label is used, and all others, in order."""
    return np.sort(np.concatenate([parts["train"], parts.get(UNLABELLED, np.empty(0, np.int64))]))


def without_test(parts: Parts) -> Parts:
    """The same parts with no test cases, as a run has them while it is tuned."""
    return {**parts, "test": np.empty(0, np.int64)}


class _Cases:
    """What a protocol must know of the cases: their labels, groups and strata, (n,) each.

    Where cases show several classes, the label is the rarest of those that a case shows.
    """

    def __init__(self, case_set: CaseSet, data: DataSettings, groups: NDArray[np.str_]) -> None:
        self.case_set = case_set
        self.level = data.level or case_set.default_level
        self._several = data.several
        numbers = case_set.labels(self.level)
        self.labels: Positions = (
            rarest_classes(numbers, case_set.members(self.level)) if data.several else numbers
        )
        self.groups = groups
        # Outlines are few: spread over the parts like a class, so that each can be measured.
        self.strata = strata_with_marks(self.labels, case_set.outlined()).astype(np.int64)

    @property
    def classes(self) -> list[str]:
        return self.case_set.singles(self.level) if self._several else self.case_set.classes(self.level)

    def names(self, classes: Iterable[int]) -> str:
        return listed(self.classes[number] for number in classes)

    def part(self, positions: Positions) -> tuple[Positions, NDArray[np.str_], Positions]:
        return self.labels[positions], self.groups[positions], self.strata[positions]


def rarest_classes(numbers: Positions, members: NDArray[np.bool_]) -> Positions:
    """Of the classes that each case shows the one that the fewest cases show, (n,); -1 where unknown.

    A case that shows none of C classes has the number C.

    Args:
        numbers: (n,) label combinations, -1 where unknown.
        members: (K, C), which classes each combination holds.

    >>> rarest_classes(np.array([0, 0, 1, -1]), np.array([[True, False], [True, True]]))
    array([ 0,  0,  1, -1])
    """
    shown = np.bincount(numbers[numbers >= 0], minlength=len(members)) @ members
    by_rarity = np.argsort(shown, kind="stable")
    rarest = by_rarity[members[:, by_rarity].argmax(axis=1)]
    of_combination = np.where(members.any(axis=1), rarest, members.shape[1])
    return np.where(numbers < 0, -1, of_combination[numbers])


def _protocol(split: SplitSettings, cases: _Cases) -> list[Parts]:
    labels, groups, strata = cases.labels, cases.groups, cases.strata
    if split.protocol == "given":
        return [given(cases.case_set, labels, groups, split.validation, split.seed, strata=strata)]
    if split.protocol == "single_split":
        fractions = (1 - split.validation - split.test, split.validation, split.test)
        return [single_split(labels, groups, fractions, split.seed, strata=strata)]
    if split.protocol == "open_set":
        tested = _test_classes(split, cases)
        return [open_set(labels, groups, tested, split.validation, split.test, split.seed, strata=strata)]
    if split.protocol == "fixed_test":
        return _fixed_test(split, cases)
    return list(cross_evaluation(labels, groups, split.folds, split.validation, split.seed, strata=strata))


def _with_calibration(split: SplitSettings, cases: _Cases, fold: Parts) -> Parts:
    """A fold with the part of its training side that is kept for calibration, if the recipe asks for one."""
    if not split.calibration:
        return fold
    train, calibration = set_aside(
        fold["train"], cases.labels, cases.groups, split.calibration, split.seed, strata=cases.strata
    )
    return {**fold, "train": train, CALIBRATION: calibration}


def _test_classes(split: SplitSettings, cases: _Cases) -> list[int]:
    """The numbers of the classes that an open set tests: those named, or the last half."""
    known = cases.classes
    if split.test_classes is None:
        return list(range((len(known) + 1) // 2, len(known)))
    where = f"split.test_classes: a class of the level {cases.level}"
    return [known.index(one_of(where, name, known, DataError)) for name in split.test_classes]


def _fixed_test(split: SplitSettings, cases: _Cases) -> list[Parts]:
    """One test part: the set's own with its own training and validation cases, or else a fraction."""
    own = own_parts(cases.case_set)
    if not own["test"].size:
        known, test = np.arange(len(cases.labels)), split.test
    else:
        known = _without_what_is_tested(own, cases.groups)
        test = np.flatnonzero(np.isin(known, own["test"]))
    labels, groups, strata = cases.part(known)
    folds = fixed_test(labels, groups, split.folds, test, split.seed, strata=strata)
    return [{part: known[positions] for part, positions in fold.items()} for fold in folds]


def _without_what_is_tested(own: Parts, groups: NDArray[np.str_]) -> Positions:
    """All cases that a set names for a part, but for those that belong to a group of its test part."""
    rest = np.concatenate([own["train"], own["validation"]])
    return np.sort(np.concatenate([rest[~np.isin(groups[rest], groups[own["test"]])], own["test"]]))


def _checked(fold: dict[str, Positions], cases: _Cases, seen: Sequence[str]) -> dict[str, Positions]:
    """Measured parts without the cases whose label is unknown; each part with something in it.

    The classes of the parts in `seen` must have been trained with.
    """
    labels = cases.labels
    for part in parts_in(fold):
        positions = fold.get(part, np.empty(0, np.int64))
        fold[part] = np.sort(positions if part == "train" else positions[labels[positions] >= 0])
        if not (labels[fold[part]] >= 0).any():
            raise DataError(f"the {part} part of the split must hold labelled cases, but it holds none.")
    held = {part: set(labels[fold[part]]) - {-1} for part in parts_in(fold)}
    if len(held["train"]) < 2:
        raise DataError(
            f"the train part of the split must hold at least 2 classes, but it holds {len(held['train'])}."
        )
    for part in seen:
        if unseen := held[part] - held["train"]:
            raise DataError(
                f"the train part of the split must hold every class that is measured, but {part} holds"
                f" {cases.names(sorted(unseen))} and train does not."
            )
    return fold


def write_parts(path: Path, case_set: CaseSet, parts: Parts) -> None:
    """Write `split.csv`: the id of each case and its part."""
    ids = case_set.ids
    rows = [(ids[at], part) for part in (*PARTS, CALIBRATION, UNLABELLED) for at in parts.get(part, ())]
    with whole_file(path) as temporary:
        pd.DataFrame(rows, columns=["case", "part"]).to_csv(temporary, index=False)


def read_parts(path: Path, case_set: CaseSet) -> dict[str, Positions]:
    """The parts of `split.csv` as positions in the case set.

    Raises:
        FolderError: if the file is missing or damaged.
        DataError: if it names a case that the set does not have.
    """
    table = read_table(path)
    position = {case: at for at, case in enumerate(case_set.ids)}
    unknown = [case for case in table["case"] if case not in position]
    if unknown:
        raise DataError(f"{path} names the case '{unknown[0]}', which {case_set.root} does not have.")
    named = [*parts_in(table["part"].tolist()), *([UNLABELLED] if UNLABELLED in set(table["part"]) else [])]
    return {
        part: np.array([position[case] for case in table["case"][table["part"] == part]], np.int64)
        for part in named
    }


def read_table(path: Path) -> pd.DataFrame:
    """A CSV that the project wrote, as text.

    Raises:
        FolderError: if it is missing or damaged.
    """
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {error}.") from error

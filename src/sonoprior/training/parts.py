"""Which cases train, validate and test: the recipe's protocol applied to a case set. Free of torch."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.duplicates import duplicate_groups
from sonoprior.cases.splits import (
    given,
    hold_out,
    k_fold,
    label_fraction,
    merged_groups,
    strata_with_marks,
)
from sonoprior.core.errors import DataError, FolderError
from sonoprior.core.folder import whole_file

from .recipe import DataSettings, SplitSettings

PARTS = ("train", "validation", "test")
Positions = NDArray[np.int64]
Parts = Mapping[str, Positions]


def case_groups(
    settings: SplitSettings, case_set: CaseSet, remembered: Path | None = None
) -> NDArray[np.str_]:
    """The group of each case that no split may cut, (n,): patient or exam, joined by near-duplicates.

    Args:
        settings: says whether near-duplicates are kept together.
        case_set: the cases.
        remembered: a folder where the search for near-duplicates keeps its result.
    """
    groups = case_set.groups()
    if not settings.keep_duplicates_together or settings.protocol == "given":
        return groups
    same = duplicate_groups(case_set, remembered)
    return merged_groups(groups, [(int(first), case) for case, first in enumerate(same) if first != case])


def plan_parts(
    split: SplitSettings, data: DataSettings, case_set: CaseSet, groups: NDArray[np.str_]
) -> list[Parts]:
    """The parts of every fold, by position in the case set; the same for every variant and seed.

    Raises:
        DataError: if the cases cannot be split this way, or a part would be empty.
    """
    labels = case_set.labels(data.level)
    # Outlines are few: spread over the parts like a class, so that each can be measured.
    strata = strata_with_marks(labels, case_set.outlined()).astype(np.int64)
    folds = _protocol(split, case_set, labels, groups, strata)
    return [_checked(_with_fraction(fold, labels, groups, strata, split), labels) for fold in folds]


def _protocol(
    split: SplitSettings,
    case_set: CaseSet,
    labels: Positions,
    groups: NDArray[np.str_],
    strata: Positions,
) -> list[Parts]:
    if split.protocol == "given":
        return [given(case_set, split.validation, split.seed)]
    if split.protocol == "hold_out":
        fractions = (1 - split.validation - split.test, split.validation, split.test)
        return [hold_out(labels, groups, fractions, split.seed, strata=strata)]
    return list(k_fold(labels, groups, split.folds, split.validation, split.seed, strata=strata))


def _with_fraction(
    fold: Parts, labels: Positions, groups: NDArray[np.str_], strata: Positions, split: SplitSettings
) -> dict[str, Positions]:
    kept = {part: np.asarray(fold[part], np.int64) for part in PARTS if part in fold}
    if split.label_fraction < 1:
        fraction, seed = split.label_fraction, split.seed
        kept["train"] = label_fraction(kept["train"], labels, groups, fraction, seed, strata=strata)
    return kept


def _checked(fold: dict[str, Positions], labels: Positions) -> dict[str, Positions]:
    """Measured parts without the cases whose label is unknown; each part with something in it."""
    for part in PARTS:
        positions = fold.get(part, np.empty(0, np.int64))
        fold[part] = np.sort(positions if part == "train" else positions[labels[positions] >= 0])
        if not (labels[fold[part]] >= 0).any():
            raise DataError(f"the {part} part of the split must hold labelled cases, but it holds none.")
    trained = np.unique(labels[fold["train"]][labels[fold["train"]] >= 0])
    if len(trained) < 2:
        raise DataError(
            f"the train part of the split must hold at least 2 classes, but it holds {len(trained)}."
        )
    return fold


def write_parts(path: Path, case_set: CaseSet, parts: Parts) -> None:
    """Write `split.csv`: the id of each case and its part."""
    ids = case_set.ids
    rows = [(ids[at], part) for part in PARTS for at in parts[part]]
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
    return {
        part: np.array([position[case] for case in table["case"][table["part"] == part]], np.int64)
        for part in PARTS
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

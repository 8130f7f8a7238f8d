"""A split that is given from outside, as the part of each case."""

from collections import Counter
from pathlib import Path

import numpy as np

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.columns import SPLIT_PARTS
from sonoprior.cases.splits import Split
from sonoprior.cases.table import read_csv
from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import DataError

_COLUMNS = ("case", "part")


def read_split(path: Path, case_set: CaseSet) -> Split:
    """The split in a CSV with the columns `case` and `part`, such as the `split.csv` of a run.

    Raises:
        DataError: if a column or a cell is missing, a part is none of train, validation and test, or a
            case is unknown or named twice.
    """
    table = read_csv(path)
    for column in _COLUMNS:
        if column not in table:
            raise DataError(f"{path} must have the columns case and part, but has {listed(table.columns)}.")
        missing = np.flatnonzero(table[column].isna())
        if missing.size:
            raise DataError(f"{path}: every row must have '{column}', but row {missing[0] + 1} has none.")
    for part in table["part"].unique():
        one_of(f"{path}: a part", part, SPLIT_PARTS, DataError)
    _check_cases(path, table["case"].tolist(), case_set)
    part_of = dict(zip(table["case"], table["part"], strict=True))
    return _split(np.array([part_of.get(case) for case in case_set.column("case")], dtype=object))


def own_split(case_set: CaseSet) -> Split:
    """The split that the case set brings in its column `split`.

    Raises:
        DataError: if it brings none.
    """
    column = case_set.column("split")
    if not any(part in SPLIT_PARTS for part in column):
        raise DataError(
            f"{case_set.root} brings no split of its own: its column 'split' is missing or empty; name a"
            " file with the columns case and part instead."
        )
    return _split(column)


def _check_cases(path: Path, cases: list[str], case_set: CaseSet) -> None:
    known = set(case_set.column("case"))
    unknown = [case for case in cases if case not in known]
    if unknown:
        raise DataError(
            f"{path}: every case must be one of {case_set.root}, but {len(unknown)} are not:"
            f" {listed(unknown, 5)}."
        )
    twice = [case for case, count in Counter(cases).items() if count > 1]
    if twice:
        raise DataError(f"{path}: every case may stand there once, but several times: {listed(twice, 5)}.")


def _split(parts: np.ndarray) -> Split:
    return {part: np.flatnonzero(parts == part) for part in SPLIT_PARTS}

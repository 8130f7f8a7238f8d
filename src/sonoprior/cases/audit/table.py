"""Faults of the table: ids, labels, and whatever else makes `CaseSet.open` refuse a set."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sonoprior.cases.case_set import CaseSet, Column
from sonoprior.cases.combinations import classes_in
from sonoprior.cases.info import DatasetInfo
from sonoprior.core.checks import listed, nearest

from .report import Finding


def table_findings(case_set: CaseSet) -> Iterator[Finding]:
    """Missing and duplicate ids, unknown labels, and every other fault that shows without decoding pixels."""
    yield from _missing_ids(case_set)
    yield from _duplicate_ids(case_set)
    for level in case_set.info.levels:
        yield from _unknown_labels(case_set, level)
    for sentence in mended(case_set).problems():
        yield Finding(kind="table", severity="fatal", message=sentence)


def mended(case_set: CaseSet) -> CaseSet:
    """The same cases with an id each and without the unknown labels, so that the rest can be looked at."""
    table = case_set.table.copy()
    ids = pd.Series(case_set.column("case"), index=table.index, dtype="str")
    numbered = ids.fillna("") + " (row " + pd.Series(table.index + 1).astype("str") + ")"
    table["case"] = ids.mask(ids.isna() | ids.duplicated(keep=False), numbered.str.strip())
    for level in case_set.info.levels:
        if f"label.{level}" in table:
            cells = table[f"label.{level}"]
            known = [cell for cell in cells.dropna().unique() if _is_known(cell, level, case_set.info)]
            table[f"label.{level}"] = cells.where(cells.isin(known))
    return CaseSet(case_set.root, case_set.info, table)


def _is_known(cell: str, level: str, info: DatasetInfo) -> bool:
    return set(_classes(cell, level, info)) <= set(info.levels[level])


def _classes(cell: str, level: str, info: DatasetInfo) -> list[str]:
    return classes_in(cell) if level in info.several else [cell]


def _missing_ids(case_set: CaseSet) -> Iterator[Finding]:
    if "case" not in case_set.table:
        message = f"the column 'case' is missing; the table has {listed(case_set.table.columns)}."
        yield Finding(kind="table", severity="fatal", message=message)
        return
    missing = np.flatnonzero(case_set.table["case"].isna())
    if missing.size:
        message = f"every case must have an id, but rows {listed(missing + 1)} have none."
        yield Finding(kind="table", severity="fatal", message=message)


def _duplicate_ids(case_set: CaseSet) -> Iterator[Finding]:
    for case, rows in _rows_of(case_set.column("case")).items():
        if len(rows) > 1:
            where = listed(row + 1 for row in rows)
            message = f"every case must have an id of its own, but rows {where} are '{case}'."
            yield Finding(kind="duplicate id", severity="fatal", message=message, cases=[case])


def _unknown_labels(case_set: CaseSet, level: str) -> Iterator[Finding]:
    classes = case_set.info.levels[level]
    rows_of: dict[str, list[int]] = {}
    for cell, rows in _rows_of(case_set.column(f"label.{level}")).items():
        for name in dict.fromkeys(_classes(cell, level, case_set.info)):
            rows_of.setdefault(name, []).extend(rows)
    for name, rows in rows_of.items():
        if name not in classes:
            message = (
                f"column 'label.{level}': {len(rows)} case(s) have the class '{name}'; known are"
                f" {listed(classes)}.{nearest(name, classes)}"
            )
            cases = [str(case_set.column("case")[row]) for row in rows]
            yield Finding(kind="unknown label", severity="fatal", message=message, cases=cases)


def _rows_of(column: Column) -> dict[str, list[int]]:
    """The values of a column with their rows, in the order of the table; missing cells are left out."""
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(column):
        if value is not None:
            rows.setdefault(value, []).append(row)
    return rows

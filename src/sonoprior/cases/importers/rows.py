"""Rows of a table with any column names, read as columns of a case set.

A column that bears the name of a case set's column is taken as that, unless it is mapped to something else
(`extra.split=split`). Boxes and points may be spread over several: `box.lesion=left,top,right,bottom`.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from sonoprior.cases.columns import FAMILIES, PLAIN, SPLIT_PARTS, family_of
from sonoprior.cases.combinations import classes_in
from sonoprior.cases.table import read_csv
from sonoprior.core.checks import listed, nearest, one_of
from sonoprior.core.errors import DataError

from .files import reading_order

Row: TypeAlias = dict[str, str]
"""Column of the case set to text; what is missing is not there."""

_COORDINATES = ("box", "point")


def read_rows(source: Path, wanted: Mapping[str, str]) -> list[Row]:
    """The rows of a CSV.

    Args:
        source: the CSV, in UTF-8 with a header.
        wanted: column of a case set to the column, or columns, of the CSV.

    Raises:
        DataError: if the CSV, a column, or a part of a split is wrong, or no column names the images.
    """
    rows = _rows(read_csv(source), wanted, source)
    for number, row in enumerate(rows, start=1):
        if "split" in row:
            one_of(f"{source}, row {number}, split: the part", row["split"], SPLIT_PARTS, DataError)
    return rows


def label_levels(rows: list[Row], several: Collection[str] = ()) -> dict[str, list[str]]:
    """The label levels of rows, each with its classes in reading order.

    Args:
        rows: with cells "label.LEVEL".
        several: the levels in which a cell may hold several classes, "liver;kidney", or none, "@empty".
    """
    columns = dict.fromkeys(column for row in rows for column in row if family_of(column) == "label")
    levels = [column.partition(".")[2] for column in columns]
    return {level: _classes(rows, f"label.{level}", level in several) for level in levels}


def _classes(rows: list[Row], column: str, several: bool) -> list[str]:
    cells = {row[column] for row in rows if column in row}
    names = {name for cell in cells for name in classes_in(cell)} if several else cells
    return sorted(names, key=reading_order)


def members(row: Row, family: str) -> dict[str, str]:
    """The cells of one family by their second part: {"view": "uterus"} of "label"."""
    return {column.partition(".")[2]: cell for column, cell in row.items() if family_of(column) == family}


def _rows(table: pd.DataFrame, wanted: Mapping[str, str], source: Path) -> list[Row]:
    columns = _mapping(list(table.columns), wanted, source)
    cells = table.astype(object).where(table.notna(), None).to_dict("records")
    return [
        dict(_row(record, columns, f"{source}, row {number}")) for number, record in enumerate(cells, start=1)
    ]


def _mapping(header: list[str], wanted: Mapping[str, str], source: Path) -> dict[str, list[str]]:
    """Column of the case set to the columns of the CSV that hold it."""
    mapping: dict[str, list[str]] = {}
    for target, names in wanted.items():
        _check_target(target, source)
        mapping[target] = names.split(",") if family_of(target) in _COORDINATES else [names]
        for name in mapping[target]:
            one_of(f"{source}: the column for '{target}'", name, header, DataError)
    mapped = {name for names in mapping.values() for name in names}
    mapping |= {name: [name] for name in header if _is_target(name) and name not in mapped | mapping.keys()}
    if "zonemap" in mapping:
        raise DataError(
            f"{source}: a zone map needs the zones of a dataset.yaml; write a case set with one instead."
        )
    if "image" not in mapping:
        raise DataError(
            f"{source}: say which column names the images, --map image=COLUMN; it has {listed(header)}."
        )
    return mapping


def _is_target(name: str) -> bool:
    family, _, member = name.partition(".")
    return name in PLAIN or (family in FAMILIES and bool(member))


def _check_target(target: str, source: Path) -> None:
    if not _is_target(target):
        known = [*PLAIN, *(f"{name}.<{what}>" for name, what in FAMILIES.items())]
        raise DataError(
            f"{source}: a case set has no column '{target}'; known are {listed(known, len(known))}."
            f"{nearest(target, known)}"
        )


def _row(
    record: Mapping[str, str | None], columns: Mapping[str, list[str]], where: str
) -> Iterator[tuple[str, str]]:
    for target, names in columns.items():
        given = [text for text in (record[name] for name in names) if text is not None and text.strip()]
        if given and len(given) < len(names):
            raise DataError(f"{where}: the columns {listed(names)} must all be filled or all be empty.")
        if given:
            yield target, " ".join(text.strip() for text in given)

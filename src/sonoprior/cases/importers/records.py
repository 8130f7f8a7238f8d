"""Rows of a public table whose columns are known beforehand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError


def records(table: pd.DataFrame, columns: Sequence[str], source: Path) -> list[Mapping[str, str]]:
    """The rows of a table; names of columns and cells lose the spaces around them, a missing cell is "".

    Args:
        table: of text.
        columns: those that it must have.
        source: where it stands, for messages.

    Raises:
        DataError: if a column is missing.
    """
    table = table.rename(columns=str.strip)
    for column in columns:
        if column not in table:
            raise DataError(f"{source} must have the column '{column}', but has {listed(table.columns)}.")
    cells = table.astype(object).where(table.notna(), "").to_dict("records")
    return [{column: str(row[column]).strip() for column in table.columns} for row in cells]


def check_once(source: Path, names: Sequence[str], what: str = "image") -> None:
    """Refuse a table that names something twice, or in some row not at all.

    Raises:
        DataError: naming the rows, counted from 1.
    """
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{source}: every row must have its {what}, but row {number} has none.")
        if first.setdefault(name, number) != number:
            raise DataError(
                f"{source}: every {what} may stand there once, but rows {first[name]} and {number} are both"
                f" '{name}'."
            )

"""A CSV of 68 landmarks an image: image, x1, y1, ..., x68, y68."""

import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

import numpy as np

from sonoprior.cases.table import read_csv
from sonoprior.core.errors import DataError

from .faces import COUNT, Points
from .records import check_once, records

_COLUMNS = tuple(f"{axis}{number}" for number in range(1, COUNT + 1) for axis in "xy")


def read_landmarks(path: Path) -> dict[str, Points]:
    """Image to its landmarks, (68, 2) in pixels; NaN where both cells of a landmark are empty.

    Raises:
        DataError: if the CSV has other columns, names an image twice, or a cell is no finite number.
    """
    table = read_csv(path)
    numbers = {int(name[1:]) for name in table.columns.str.strip() if re.fullmatch(r"[xy]\d{1,6}", name)}
    if numbers != set(range(1, COUNT + 1)):
        raise DataError(
            f"{path} must have {COUNT} landmarks, in the columns x1, y1, ..., x{COUNT}, y{COUNT}, but has"
            f" {len(numbers)}."
        )
    rows = records(table, ("image", *_COLUMNS), path)
    check_once(path, [row["image"] for row in rows])
    return {row["image"]: _points(row, f"{path}, row {n}") for n, row in enumerate(rows, start=1)}


def _points(row: Mapping[str, str], where: str) -> Points:
    points = np.array([_number(row[name], f"{where}, {name}") for name in _COLUMNS]).reshape(COUNT, 2)
    halves = np.flatnonzero(np.isnan(points).sum(axis=1) == 1)
    if len(halves):
        raise DataError(
            f"{where}: x{halves[0] + 1} and y{halves[0] + 1} must both be filled or both be empty."
        )
    if np.isnan(points).all():
        raise DataError(f"{where} has no landmark; leave the row out.")
    return points


def _number(cell: str, where: str) -> float:
    if not cell:
        return np.nan
    try:
        number = float(cell)
    except ValueError:
        number = np.nan
    if not isfinite(number):
        raise DataError(f"{where}: must be a finite number, but got '{cell[:40]}'.")
    return number

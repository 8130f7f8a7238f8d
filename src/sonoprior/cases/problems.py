"""What is wrong with a case set's table, as far as it can be said without decoding a pixel."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import DataError

from .cells import EMPTY, parse_boxes, parse_landmarks, parse_points, split_items
from .columns import REQUIRED, SPLIT_PARTS, check_column
from .combinations import classes_in
from .info import DatasetInfo
from .inside import Inside

# Checks a cell; the second argument says where it stands.
_Check: TypeAlias = Callable[[str, str], object]


def problems(root: Path, info: DatasetInfo, table: pd.DataFrame) -> Iterator[str]:
    """One sentence for each thing that is wrong: columns, ids, labels, paths, files, coordinates.

    Args:
        root: the folder of the case set.
        info: its `dataset.yaml`.
        table: its table; a fault of the columns or the ids hides the faults of the cells.
    """
    structural = [*_column_problems(root, info, table), *_row_problems(root, table)]
    yield from structural or _cell_problems(root, info, table)


def _column_problems(root: Path, info: DatasetInfo, table: pd.DataFrame) -> Iterator[str]:
    for column in REQUIRED:
        if column not in table:
            yield f"{root}: the column '{column}' is missing; the table has {listed(table.columns)}."
    for column in table.columns:
        try:
            check_column(column, info, str(root))
        except DataError as error:
            yield str(error)


def _row_problems(root: Path, table: pd.DataFrame) -> Iterator[str]:
    if table.empty:
        yield f"{root}: the table must hold at least one case, but has no rows."
    for column in REQUIRED:
        for row in np.flatnonzero(table[column].isna()) if column in table else ():
            yield f"{root}: every case must have '{column}', but row {row + 1} has none."
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, case in _given(table, "case") if "case" in table else ():
        rows_of[case].append(row + 1)
    for case, rows in rows_of.items():
        if len(rows) > 1:
            yield f"{root}: every case must have an id of its own, but rows {listed(rows)} are all '{case}'."


def _cell_problems(root: Path, info: DatasetInfo, table: pd.DataFrame) -> Iterator[str]:
    inside = Inside(root)
    ids = table["case"].to_numpy()
    for column in table.columns:
        check = _check_of(column, info, inside)
        if check is None:
            continue
        for row, cell in _given(table, column):
            try:
                check(cell, f"{root}: case '{ids[row]}', column '{column}'")
            except DataError as error:
                yield str(error)


def _given(table: pd.DataFrame, column: str) -> list[tuple[int, str]]:
    """Row and text of the cells that are not missing."""
    cells = table[column].to_numpy(dtype=object)
    return [(int(row), cells[row]) for row in np.flatnonzero(table[column].notna())]


def _check_of(column: str, info: DatasetInfo, inside: Inside) -> _Check | None:
    """What checks the cells of a column; None where any text will do."""
    family, _, member = column.partition(".")
    checks: dict[str, _Check] = {
        "image": partial(_check_file, inside),
        "zonemap": partial(_check_file, inside),
        "map": partial(_check_file, inside),
        "outline": partial(_check_outline, inside),
        "box": parse_boxes,
        "point": parse_points,
        "points": lambda cell, where: parse_landmarks(cell, len(info.landmarks), where),
        "label": partial(_check_label, info.levels.get(member, ()), member in info.several),
        "split": lambda cell, where: one_of(f"{where}: the part", cell, SPLIT_PARTS, DataError),
    }
    return checks.get(family)


def _check_label(classes: Sequence[str], several: bool, cell: str, where: str) -> None:
    names = classes_in(cell) if several else [cell]
    for at, name in enumerate(names):
        one_of(f"{where}: the class", name, classes, DataError)
        if name in names[:at]:
            raise DataError(f"{where}: every class may stand there once, but '{name}' stands there twice.")


def _check_outline(inside: Inside, cell: str, where: str) -> None:
    for item in split_items(cell) if cell != EMPTY else ():
        _check_file(inside, item, where)


def _check_file(inside: Inside, cell: str, where: str) -> None:
    if not inside.path(cell, where).is_file():
        raise DataError(f"{where}: the file '{cell}' is missing.")

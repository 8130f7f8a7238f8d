"""A CSV with any column names, mapped to those of a case set.

A column that bears the name of a case set's column is taken as that, unless it is mapped to something else
(`extra.split=split`). Boxes and points may be spread over several: `box.lesion=left,top,right,bottom`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

import pandas as pd

from sonoprior.cases.cells import EMPTY, split_items
from sonoprior.cases.columns import FAMILIES, PLAIN, SPLIT_PARTS, family_of
from sonoprior.cases.info import make_info
from sonoprior.cases.inside import Inside
from sonoprior.cases.table import read_csv
from sonoprior.core.checks import listed, nearest, one_of
from sonoprior.core.errors import DataError

from .files import reading_order
from .findings import Findings, Found, ImportOptions, LeftOut

# A row: column of the case set to text; what is missing is not there.
_Row: TypeAlias = dict[str, str]

_COORDINATES = ("box", "point")
_OWN_FIELDS = ("label", "outline", "map")


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images that a CSV names.

    Args:
        source: the CSV, in UTF-8 with a header.
        options: `columns` maps its columns; paths are relative to `images` and `masks`, by default to the
            folder of the CSV.

    Raises:
        DataError: if the CSV, a column or a cell is wrong, or two rows have one id.
    """
    options.only("csv", "columns", "images", "masks")
    rows = _rows(read_csv(source), options.columns, source)
    _check_ids(rows, source)
    images = options.images or source.parent
    folders = Inside(images), Inside(options.masks or images)
    info = make_info(_info(source, rows), str(source))
    findings = Findings(info, [])
    for number, row in enumerate(rows, start=1):
        where = f"{source}, row {number}"
        if "image" in row:
            findings.cases.append(_found(row, *folders, where))
        else:
            findings.left_out.append(LeftOut(where, f"{where} names no image."))
    return findings


def _rows(table: pd.DataFrame, wanted: Mapping[str, str], source: Path) -> list[_Row]:
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


def _info(source: Path, rows: list[_Row]) -> dict[str, Any]:
    """The fields of `dataset.yaml` that follow from the rows."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    zones = [
        column.partition(".")[2] for column in columns if family_of(column) in ("outline", "box", "point")
    ]
    landmarks = len(split_items(next((row["points"] for row in rows if "points" in row), "")))
    return {
        "name": source.stem or "csv",
        "levels": {c.partition(".")[2]: _classes(rows, c) for c in columns if family_of(c) == "label"},
        "zones": list(dict.fromkeys(zones)),
        "landmarks": [str(number + 1) for number in range(landmarks)] if "points" in columns else [],
    }


def _classes(rows: list[_Row], column: str) -> list[str]:
    return sorted({row[column] for row in rows if column in row}, key=reading_order)


def _case_id(row: _Row) -> str:
    return row.get("case") or PurePosixPath(row["image"]).with_suffix("").as_posix()


def _check_ids(rows: list[_Row], source: Path) -> None:
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if "image" in row and seen.setdefault(_case_id(row), number) != number:
            case = _case_id(row)
            raise DataError(
                f"{source}: every row must have an id of its own, but rows {seen[case]} and {number} are both"
                f" '{case}'; name the column of ids with --map case=COLUMN."
            )


def _found(row: _Row, images: Inside, masks: Inside, where: str) -> Found:
    if "split" in row:
        one_of(f"{where}, split: the part", row["split"], SPLIT_PARTS, DataError)

    def members(family: str) -> dict[str, str]:
        return {column.partition(".")[2]: cell for column, cell in row.items() if family_of(column) == family}

    outlines = {
        zone: [masks.path(item, f"{where}, outline.{zone}") for item in split_items(cell) if cell != EMPTY]
        for zone, cell in members("outline").items()
    }
    return Found(
        case=_case_id(row),
        image=images.path(row["image"], f"{where}, image"),
        labels=members("label"),
        outlines=outlines,
        maps={name: masks.path(cell, f"{where}, map.{name}") for name, cell in members("map").items()},
        columns={
            c: cell
            for c, cell in row.items()
            if c not in ("case", "image") and family_of(c) not in _OWN_FIELDS
        },
    )

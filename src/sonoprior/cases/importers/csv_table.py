"""A CSV with any column names, mapped to those of a case set.

Outlines by several raters stand in one column a rater, `outline.lesion@anna=mask_a`.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sonoprior.cases.cells import EMPTY, split_items
from sonoprior.cases.columns import family_of
from sonoprior.cases.info import make_info
from sonoprior.cases.inside import Inside
from sonoprior.core.errors import DataError

from .findings import Findings, Found, ImportOptions, LeftOut
from .raters import Raters, raters_of
from .rows import Row, label_levels, members, read_rows

_OWN_FIELDS = ("label", "outline", "map")
_RATER = "@"


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images that a CSV names.

    Args:
        source: the CSV, in UTF-8 with a header.
        options: `columns` maps its columns; `several` names the levels whose cells may hold several classes;
            paths are relative to `images` and `masks`, by default to the folder of the CSV; `raters` and
            `threshold` say what becomes of several raters' outlines.

    Raises:
        DataError: if the CSV, a column or a cell is wrong, or two rows have one id.
    """
    options.only("csv", "columns", "several", "images", "masks", "raters", "threshold")
    rows = read_rows(source, options.columns)
    _check_ids(rows, source)
    images = options.images or source.parent
    folders = Inside(images), Inside(options.masks or images)
    raters = _raters(rows, options, source)
    findings = Findings(make_info(_info(source, rows, raters, options.several), str(source)), [])
    for number, row in enumerate(rows, start=1):
        where = f"{source}, row {number}"
        if "image" in row:
            findings.cases.append(_found(row, *folders, raters, where))
        else:
            findings.left_out.append(LeftOut(where, f"{where} names no image."))
    return findings


def _raters(rows: list[Row], options: ImportOptions, source: Path) -> Raters | None:
    raters, rated = raters_of(options), _rated(rows)
    if rated and raters is None:
        raise DataError(
            f"{source} has outlines of '{next(iter(rated))}' by several raters; say what becomes of them with"
            " --raters apart, united or averaged."
        )
    if raters and not rated:
        raise DataError(
            f"{source} has no outlines by several raters; map one column for each, --map"
            " outline.ZONE@RATER=COLUMN, or leave --raters out."
        )
    return raters


def _rated(rows: list[Row]) -> dict[str, list[str]]:
    """Zone to the raters who have a column for it."""
    rated: dict[str, list[str]] = defaultdict(list)
    for column in dict.fromkeys(column for row in rows for column in row):
        if family_of(column) == "outline" and _RATER in column:
            zone, _, rater = column.partition(".")[2].partition(_RATER)
            rated[zone].append(rater)
    return rated


def _info(source: Path, rows: list[Row], raters: Raters | None, several: Sequence[str]) -> dict[str, Any]:
    """The fields of `dataset.yaml` that follow from the rows."""
    columns = dict.fromkeys(column for row in rows for column in row)
    placed = [c.partition(".")[2] for c in columns if family_of(c) in ("outline", "box", "point")]
    zones = [zone for zone in placed if _RATER not in zone]
    landmarks = len(split_items(next((row["points"] for row in rows if "points" in row), "")))
    info: dict[str, Any] = {
        "name": source.stem or "csv",
        "levels": label_levels(rows, several),
        "several": list(several),
        "zones": list(dict.fromkeys([*zones, *(raters.zones(_rated(rows)) if raters else [])])),
        "landmarks": [str(number + 1) for number in range(landmarks)] if "points" in columns else [],
    }
    return info | ({"groupings": raters.groupings(_rated(rows))} if raters else {})


def _case_id(row: Row) -> str:
    return row.get("case") or PurePosixPath(row["image"]).with_suffix("").as_posix()


def _check_ids(rows: list[Row], source: Path) -> None:
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if "image" in row and seen.setdefault(_case_id(row), number) != number:
            case = _case_id(row)
            raise DataError(
                f"{source}: every row must have an id of its own, but rows {seen[case]} and {number} are both"
                f" '{case}'; name the column of ids with --map case=COLUMN."
            )


def _found(row: Row, images: Inside, masks: Inside, raters: Raters | None, where: str) -> Found:
    outlines, rated = _outlines(row, masks, where)
    maps = {name: masks.path(cell, f"{where}, map.{name}") for name, cell in members(row, "map").items()}
    return Found(
        case=_case_id(row),
        image=images.path(row["image"], f"{where}, image"),
        labels=members(row, "label"),
        outlines={**outlines, **(raters.outlines(rated) if raters else {})},
        maps={**maps, **(raters.maps(rated) if raters else {})},
        columns={
            c: cell
            for c, cell in row.items()
            if c not in ("case", "image") and family_of(c) not in _OWN_FIELDS
        },
    )


def _outlines(
    row: Row, masks: Inside, where: str
) -> tuple[dict[str, Sequence[Path]], dict[str, dict[str, Sequence[Path]]]]:
    """The files of the outlines by zone, and those of several raters by zone and rater."""
    outlines: dict[str, Sequence[Path]] = {}
    rated: dict[str, dict[str, Sequence[Path]]] = defaultdict(dict)
    for member, cell in members(row, "outline").items():
        paths = [
            masks.path(item, f"{where}, outline.{member}") for item in split_items(cell) if item != EMPTY
        ]
        zone, at, rater = member.partition(_RATER)
        if at:
            rated[zone][rater] = paths
        else:
            outlines[zone] = paths
    return outlines, rated

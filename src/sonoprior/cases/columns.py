"""The columns that a case set's table may have."""

from sonoprior.core.checks import listed, nearest, one_of
from sonoprior.core.errors import DataError

from .info import DatasetInfo

REQUIRED = ("case", "image")
SPLIT_PARTS = ("train", "validation", "test")
PLAIN = (
    *REQUIRED,
    "zonemap",
    "points",
    "patient",
    "exam",
    "device",
    "split",
    "caption",
    "terms",
    "clip",
    "frame",
)
FAMILIES = {
    "label": "level",
    "outline": "zone",
    "box": "zone",
    "point": "zone",
    "map": "name",
    "extra": "name",
}
"""Columns with a second part, "label.view"; `extra` is for whatever else a table carries along."""


def family_of(column: str) -> str:
    """The first part of a column's name: "outline" of "outline.lesion"."""
    return column.partition(".")[0]


def check_column(column: str, info: DatasetInfo, where: str) -> None:
    """Refuse a column that the project does not know, or whose level or zone the set does not have.

    Raises:
        DataError: naming `where`, the column, and the nearest known one.
    """
    if column in PLAIN:
        return
    family, _, member = column.partition(".")
    if family not in FAMILIES or not member:
        known = [*PLAIN, *(f"{name}.<{what}>" for name, what in FAMILIES.items())]
        raise DataError(
            f"{where}: the column '{column}' is unknown; known are {listed(known, len(known))}."
            f"{nearest(column, known)} Name it 'extra.{column}' to carry it along."
        )
    what = FAMILIES[family]
    if what == "name":
        if "/" in member or "\\" in member:
            raise DataError(f"{where}: the name in the column '{column}' must be without / and \\.")
        return
    allowed = list(info.levels) if what == "level" else info.zones
    one_of(f"{where}: the {what} of the column '{column}'", member, allowed, DataError)


def in_order(columns: list[str]) -> list[str]:
    """Columns as a person would look for them: the plain ones first, then family by family."""
    families = list(FAMILIES)

    def place(column: str) -> tuple[int, str]:
        if column in PLAIN:
            return PLAIN.index(column), ""
        return len(PLAIN) + families.index(family_of(column)), column

    return sorted(columns, key=place)

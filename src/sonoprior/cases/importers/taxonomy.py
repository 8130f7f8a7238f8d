"""Genus and family of species, from a CSV with the columns species, genus, family.

`cub_taxonomy.csv` has those of CUB-200-2011 by the eBird/Clements checklist of 2023; see docs/importing.md.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from sonoprior.cases.table import read_csv
from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import DataError

from .records import check_once, records

_BUNDLED = "cub_taxonomy.csv"
_COLUMNS = ("species", "genus", "family")
_NUMBER = re.compile(r"^\d+\.")


class Place(NamedTuple):
    """Where a species stands in the tree of life."""

    genus: str
    family: str


def species_name(name: str) -> str:
    """The name of a species without the number and the underscores of CUB-200-2011.

    >>> species_name("001.Black_footed_Albatross")
    'Black footed Albatross'
    """
    return _NUMBER.sub("", name, count=1).replace("_", " ")


def read_taxonomy(path: Path | None, species: Sequence[str]) -> dict[str, Place]:
    """Genus and family of each of these species.

    Args:
        path: the CSV, whose names may bear numbers and underscores; the project's own, if none is given.
        species: names as `species_name` gives them.

    Raises:
        DataError: if the CSV cannot be read, lacks a column, genus, family or species, has a species twice,
            or has a genus in two families.
    """
    if path is None:
        with as_file(files("sonoprior.cases.importers") / _BUNDLED) as bundled:
            return _places(bundled, species)
    return _places(path, species)


def _places(path: Path, species: Sequence[str]) -> dict[str, Place]:
    rows = records(read_csv(path), _COLUMNS, path)
    names = [species_name(row["species"]) for row in rows]
    check_once(path, names, "species")
    places = {
        name: _place(row, f"{path}, row {number}, {name}")
        for number, (name, row) in enumerate(zip(names, rows, strict=True), start=1)
    }
    _check_complete(path, places, species)
    _check_tree(path, places.items())
    return {name: places[name] for name in species}


def _place(row: Mapping[str, str], where: str) -> Place:
    for column in ("genus", "family"):
        if not row[column]:
            raise DataError(f"{where}: every species must have its {column}, but this one has none.")
    return Place(row["genus"], row["family"])


def _check_complete(path: Path, places: Mapping[str, Place], species: Sequence[str]) -> None:
    missing = [name for name in species if name not in places]
    if missing:
        rows = listed([f"'{name},GENUS,FAMILY'" for name in missing])
        raise DataError(
            f"{path} must give genus and family of every species, but has no row for"
            f" {listed(missing)}.{nearest(missing[0], places)} Add {rows}, with what is right there."
        )


def _check_tree(path: Path, places: Iterable[tuple[str, Place]]) -> None:
    first: dict[str, str] = {}
    for name, (genus, family) in places:
        if first.setdefault(genus, family) != family:
            raise DataError(
                f"{path}: a genus belongs to one family, but {genus} is in {first[genus]} and, by the row of"
                f" '{name}', in {family}."
            )

"""The lists of CUB-200-2011: lines of a number and what belongs to it."""

from collections.abc import Collection, Iterator
from math import isfinite
from pathlib import Path

from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError

IMAGES = "images.txt"


def lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each line stands, and its number and the rest; empty lines left out.

    Raises:
        DataError: if the file cannot be read, or a line does not begin with a number or has nothing after it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8: {error}.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split(maxsplit=1)
        if not words:
            continue
        where = f"{path}, line {number}"
        if len(words) != 2 or not words[0].isascii() or not words[0].isdigit():
            raise DataError(f"{where}: must be a number and what belongs to it, but got '{line[:80]}'.")
        yield where, words


def rows_by_number(path: Path) -> dict[str, str]:
    """Number to the rest of its line.

    Raises:
        DataError: as `lines`, or if a number stands there twice.
    """
    rows: dict[str, str] = {}
    for where, (number, rest) in lines(path):
        if number in rows:
            raise DataError(f"{where}: every number may stand there once, but {number} stands there twice.")
        rows[number] = rest.strip()
    return rows


def column(path: Path, images: Collection[str]) -> dict[str, str]:
    """What a list says of each image.

    Raises:
        DataError: as `rows_by_number`, or if the list is about fewer or other images.
    """
    rows = rows_by_number(path)
    if lacking := [number for number in images if number not in rows]:
        raise DataError(
            f"{path} must have a line for each image of {IMAGES}, but has none for {listed(lacking)}."
        )
    if unknown := [number for number in rows if number not in images]:
        raise DataError(
            f"{path} must name images of {IMAGES} only, but names {listed(unknown)}, which it does not have."
        )
    return rows


def numbers_of(cell: str, form: str, where: str) -> list[float]:
    """The numbers in a cell, as many as `form` names.

    Raises:
        DataError: naming `where`, if they are more, fewer, or not finite.
    """
    try:
        numbers = [float(word) for word in cell.split()]
    except ValueError:
        numbers = []
    if len(numbers) != len(form.split()) or not all(isfinite(number) for number in numbers):
        raise DataError(f"{where}: must be '{form}' in finite numbers, but got '{cell[:80]}'.")
    return numbers

"""Looking for image files."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sonoprior.cases.images import SUFFIXES
from sonoprior.core.errors import DataError


def require_folder(path: Path) -> Path:
    """Return the folder.

    Raises:
        DataError: if it is none.
    """
    if not path.is_dir():
        raise DataError(f"{path} must be a folder, but there is no such folder.")
    return path


def image_files(folder: Path) -> list[Path]:
    """The files below a folder whose suffix is that of an image, hidden ones left out, in reading order."""
    found = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    visible = [
        path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    return sorted(visible, key=lambda path: reading_order(path.as_posix()))


def reading_order(name: str) -> list[tuple[bool, int, str]]:
    """A key that sorts names as people do: "image 9" before "image 10".

    >>> sorted(["b10", "b9", "a"], key=reading_order)
    ['a', 'b9', 'b10']
    """
    return [(bool(text), int(digits or 0), text) for digits, text in re.findall(r"(\d{1,18})|(\D+)", name)]


def names_without_suffix(paths: Sequence[Path]) -> dict[Path, str]:
    """Ids for files: the path without its suffix, or with it where two files differ in nothing else."""
    times = Counter(path.with_suffix("") for path in paths)
    return {
        path: (path.with_suffix("") if times[path.with_suffix("")] == 1 else path).as_posix()
        for path in paths
    }

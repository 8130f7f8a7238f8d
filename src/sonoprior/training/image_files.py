"""Image files that a person names: files, or folders with everything in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from sonoprior.core.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
# Outlines lie beside the images in public sets.
OUTLINES = "*_mask*"


@dataclass(frozen=True)
class Found:
    """Images by path, and how many were left out by the pattern."""

    paths: list[Path]
    left_out: int


def find_images(places: Sequence[Path], exclude: str = OUTLINES) -> Found:
    """The images of files and folders, sorted within each folder; a file that is named is always taken.

    Args:
        places: image files, or folders that are searched with all folders in them.
        exclude: a pattern of file names that are not images to look at; "" for none.

    Raises:
        DataError: if a place does not exist, or there is no image at all.
    """
    paths: list[Path] = []
    left_out = 0
    for place in places:
        if not place.exists():
            raise DataError(f"there is no file or folder {place}.")
        found = _in_folder(place) if place.is_dir() else [place]
        kept = [path for path in found if path == place or not fnmatch(path.name, exclude)]
        left_out += len(found) - len(kept)
        paths += kept
    if not paths:
        raise DataError(
            f"{', '.join(map(str, places))} must hold images ({', '.join(SUFFIXES)}), but holds none"
            + (f" besides {left_out} that '{exclude}' leaves out." if left_out else ".")
        )
    return Found(paths, left_out)


def _in_folder(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())

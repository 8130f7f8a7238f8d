"""A folder for each class with its images, and perhaps a tree of outlines that mirrors them.

SOURCE/CLASS/IMAGE.png
SOURCE/masks/CLASS/IMAGE.png      (or any other folder, by --masks)
"""

from collections import defaultdict
from pathlib import Path

from sonoprior.cases.info import make_info
from sonoprior.core.errors import DataError

from .files import image_files, names_without_suffix, reading_order, require_folder
from .findings import Findings, Found, ImportOptions, without_image

MASKS = "masks"
ZONE = "object"


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find images by class; an outline has the path of its image, with any image suffix.

    Args:
        source: the folder with one folder a class.
        options: `masks` names a folder of outlines elsewhere.

    Raises:
        DataError: if there is no image, or another option is given.
    """
    options.only("folder", "masks")
    images = _images(require_folder(source), options.masks)
    if not images:
        raise DataError(
            f"{source} must hold a folder with images for each class, but has no image in a folder."
        )
    outlines = _by_stem(require_folder(options.masks) if options.masks else source / MASKS)
    names = names_without_suffix([path.relative_to(source) for path in images])
    cases = [_found(source / path, path, name, outlines) for path, name in names.items()]
    info = {
        "name": source.resolve().name,
        "levels": {"class": sorted({path.parts[0] for path in names}, key=reading_order)},
        "zones": [ZONE] if outlines else [],
    }
    used = {path.with_suffix("") for path in names}
    left_out = [without_image(path) for stem, paths in outlines.items() if stem not in used for path in paths]
    return Findings(make_info(info, str(source)), cases, left_out)


def _images(source: Path, masks: Path | None) -> list[Path]:
    """The images in the folders of the classes, class by class."""
    no_classes = {path.resolve() for path in (source / MASKS, masks) if path}
    folders = [path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")]
    classes = sorted(folders, key=lambda path: reading_order(path.name))
    return [image for path in classes if path.resolve() not in no_classes for image in image_files(path)]


def _by_stem(masks: Path) -> dict[Path, list[Path]]:
    """Outlines by their path below `masks` without suffix."""
    outlines: dict[Path, list[Path]] = defaultdict(list)
    for path in image_files(masks) if masks.is_dir() else ():
        outlines[path.relative_to(masks).with_suffix("")].append(path)
    return outlines


def _found(image: Path, relative: Path, name: str, outlines: dict[Path, list[Path]]) -> Found:
    drawn = outlines.get(relative.with_suffix(""))
    return Found(name, image, {"class": relative.parts[0]}, {ZONE: drawn} if drawn else {})

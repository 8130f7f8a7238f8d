"""A folder for each class with its images, and perhaps a tree of outlines that mirrors them.

SOURCE/CLASS/IMAGE.png
SOURCE/masks/CLASS/IMAGE.png               (or any other folder, by --masks)
SOURCE/masks/CLASS/IMAGE_mask_RATER.png    (by several raters, with --raters)
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sonoprior.cases.info import make_info
from sonoprior.core.errors import DataError

from .files import image_files, names_without_suffix, reading_order, require_folder
from .findings import Findings, Found, ImportOptions, without_image
from .raters import Raters, raters_of

MASKS = "masks"
ZONE = "object"

# Outlines by the path of their image below the folder of a tree, without suffix, and by rater.
_Masks: TypeAlias = Mapping[Path, Mapping[str, list[Path]]]
# The outlines of one rater may be several files, NAME_mask_anna_1.png and so on.
_BY_RATER = re.compile(r"(?P<image>.+)_mask_(?P<rater>.+?)(_\d+)?")
_NOBODY = ""


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find images by class; an outline has the path of its image, with any image suffix.

    With `raters`, an outline by a rater is named NAME_mask_RATER and lies in the tree of outlines or beside
    its image.

    Args:
        source: the folder with one folder a class.
        options: `masks` names a folder of outlines elsewhere; `raters` and `threshold` say what becomes of
            several raters' outlines.

    Raises:
        DataError: if there is no image, an outline names no rater where raters are wanted, or another option
            is given.
    """
    options.only("folder", "masks", "raters", "threshold")
    tree = _tree(require_folder(source), options)
    if not tree.images:
        raise DataError(
            f"{source} must hold a folder with images for each class, but has no image in a folder."
        )
    names = names_without_suffix([path.relative_to(source) for path in tree.images])
    cases = [_found(source / path, path, name, tree) for path, name in names.items()]
    info = {
        "name": source.resolve().name,
        "levels": {"class": sorted({path.parts[0] for path in names}, key=reading_order)},
        **_drawn_by(tree),
    }
    used = {path.with_suffix("") for path in names}
    orphans = [paths for stem, by in tree.masks.items() if stem not in used for paths in by.values()]
    left_out = [without_image(path) for paths in orphans for path in paths]
    return Findings(make_info(info, str(source)), cases, left_out)


@dataclass(frozen=True)
class _Tree:
    images: list[Path]
    masks: _Masks
    raters: Raters | None


def _tree(source: Path, options: ImportOptions) -> _Tree:
    raters = raters_of(options)
    masks = require_folder(options.masks) if options.masks else source / MASKS
    drawn = [(masks, path) for path in image_files(masks)] if masks.is_dir() else []
    images = _images(source, masks)
    if raters:
        drawn += [(source, path) for path in images if _BY_RATER.fullmatch(path.stem)]
        images = [path for path in images if not _BY_RATER.fullmatch(path.stem)]
    return _Tree(images, _by_stem(drawn, raters), raters)


def _images(source: Path, masks: Path) -> list[Path]:
    """The images in the folders of the classes, class by class."""
    no_classes = {(source / MASKS).resolve(), masks.resolve()}
    folders = [path for path in source.iterdir() if path.is_dir() and not path.name.startswith(".")]
    classes = sorted(folders, key=lambda path: reading_order(path.name))
    return [image for path in classes if path.resolve() not in no_classes for image in image_files(path)]


def _by_stem(drawn: list[tuple[Path, Path]], raters: Raters | None) -> _Masks:
    outlines: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for root, path in drawn:
        stem, rater = path.stem, _NOBODY
        if raters:
            named = _BY_RATER.fullmatch(stem)
            if named is None:
                raise DataError(f"{path} must be named IMAGE_mask_RATER, since --raters is given.")
            stem, rater = named["image"], named["rater"]
        outlines[path.relative_to(root).with_name(stem)][rater].append(path)
    return outlines


def _drawn_by(tree: _Tree) -> dict[str, Any]:
    """The zones and groupings of the set."""
    if not tree.raters:
        return {"zones": [ZONE] if tree.masks else []}
    raters = {rater for by in tree.masks.values() for rater in by}
    if not raters:
        raise DataError(
            "--raters needs outlines named IMAGE_mask_RATER, beside the images or in the tree of outlines,"
            " but there are none."
        )
    rated = {ZONE: sorted(raters, key=reading_order)}
    return {"zones": tree.raters.zones(rated), "groupings": tree.raters.groupings(rated)}


def _found(image: Path, relative: Path, name: str, tree: _Tree) -> Found:
    drawn = tree.masks.get(relative.with_suffix(""), {})
    label = {"class": relative.parts[0]}
    if not drawn:
        return Found(name, image, label)
    if not tree.raters:
        return Found(name, image, label, {ZONE: drawn[_NOBODY]})
    rated = {ZONE: drawn}
    return Found(name, image, label, tree.raters.outlines(rated), tree.raters.maps(rated))

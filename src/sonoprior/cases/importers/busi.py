"""BUSI, the breast ultrasound images of Al-Dhabyani et al.

The layout is `Dataset_BUSI_with_GT/{benign,malignant,normal}/NAME.png` with outlines beside the images,
`NAME_mask.png`, `NAME_mask_1.png` and so on, one a lesion.
"""

import re
from collections import defaultdict
from pathlib import Path

from sonoprior.cases.info import DatasetInfo
from sonoprior.core.errors import DataError

from .files import image_files, require_folder
from .findings import Findings, Found, ImportOptions, without_image

FOLDER = "Dataset_BUSI_with_GT"
CLASSES = ("benign", "malignant", "normal")

_INFO = DatasetInfo(
    name="BUSI",
    about="Breast ultrasound images with benign lesions, malignant lesions or none, and outlines of lesions.",
    levels={"class": list(CLASSES)},
    zones=["lesion"],
    licence="the article that describes the images is open access under CC BY 4.0",
    source="Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 28 (2020) 104863,"
    " doi 10.1016/j.dib.2019.104863",
)
_MASK = re.compile(r"(?P<image>.+)_mask(_\d+)?")


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images of BUSI; a missing outline file is an absent outline, a black one an empty outline.

    Args:
        source: the folder with the three classes, or the folder that holds it.
        options: none apply.

    Raises:
        DataError: if the layout is another one, or an option is given.
    """
    options.only("busi")
    root = _root(require_folder(source))
    findings = Findings(_INFO, [])
    for name in CLASSES:
        images, masks = _files(root / name)
        for image in images:
            drawn = masks.pop(image.stem, None)
            outlines = {"lesion": drawn} if drawn else {}
            findings.cases.append(Found(image.stem, image, {"class": name}, outlines))
        findings.left_out.extend(without_image(path) for paths in masks.values() for path in paths)
    return findings


def _root(source: Path) -> Path:
    for root in (source, source / FOLDER):
        if any((root / name).is_dir() for name in CLASSES):
            return root
    raise DataError(
        f"{source} must hold the folders benign, malignant and normal, or {FOLDER} with them, but has none."
    )


def _files(folder: Path) -> tuple[list[Path], dict[str, list[Path]]]:
    """The images of a class, and the outlines by the name of their image."""
    images: list[Path] = []
    masks: dict[str, list[Path]] = defaultdict(list)
    for path in image_files(folder):
        outlined = _MASK.fullmatch(path.stem)
        (masks[outlined["image"]] if outlined else images).append(path)
    return images, masks

"""CUB-200-2011, the birds of Wah, Branson, Welinder, Perona and Belongie, with genus and family of each.

The layout is `CUB_200_2011/images/001.Black_footed_Albatross/NAME.jpg`, and beside `images` the lists
- images.txt: "1 001.Black_footed_Albatross/NAME.jpg",
- classes.txt: "1 001.Black_footed_Albatross",
- image_class_labels.txt: "1 1", image and class,
- train_test_split.txt: "1 0", image and whether it is to train with,
- bounding_boxes.txt: "1 60.0 27.0 325.0 304.0", image, left, top, width and height.

There may be the folders `parts`, see `cub_parts`, and `segmentations/001.Black_footed_Albatross/NAME.png`, an
archive of its own, whose grey is the share of the annotators who drew a pixel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonoprior.cases.images import Mask, check_shape, read_grey
from sonoprior.cases.info import make_info
from sonoprior.cases.inside import Inside
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError

from .cub_lists import IMAGES, column, numbers_of, rows_by_number
from .cub_parts import BodyParts
from .files import require_folder
from .findings import Findings, Found, ImportOptions, Shape
from .taxonomy import Place, read_taxonomy, species_name

FOLDER = "CUB_200_2011"
ZONE = "bird"

_CLASSES = "classes.txt"
_LABELS = "image_class_labels.txt"
_SPLIT = "train_test_split.txt"
_BOXES = "bounding_boxes.txt"
_SEGMENTATIONS = "segmentations"
_PARTS = {"1": "train", "0": "test"}
_HALF = 128
_INFO: dict[str, Any] = {
    "name": "CUB-200-2011",
    "about": "Photographs of birds of 200 species, with the genus and the family of each species.",
    "zones": [ZONE],
    "licence": "for non-commercial research and education; the photographs belong to those who took them",
}
_SOURCE = (
    "Wah, Branson, Welinder, Perona and Belongie, The Caltech-UCSD Birds-200-2011 dataset, California"
    " Institute of Technology, CNS-TR-2011-001; genus and family: "
)


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images of CUB-200-2011.

    Args:
        source: the folder with images.txt, or the folder that holds it as CUB_200_2011.
        options: `taxonomy`, a CSV with the genus and family of each species; the project's own, if not given.

    Raises:
        DataError: if the layout is another one, a list is missing or damaged, an image lacks its class, part
            or box, or a species its genus.
    """
    options.only("cub", "taxonomy")
    root = _root(require_folder(source))
    images = rows_by_number(root / IMAGES)
    classes = {number: species_name(name) for number, name in rows_by_number(root / _CLASSES).items()}
    places = read_taxonomy(options.taxonomy, list(classes.values()))
    parts = BodyParts.read(root / "parts", images)
    reader = _Reader(
        root,
        images=Inside(root / "images"),
        segmentations=_segmentations(source, root),
        classes=classes,
        places=places,
        class_of=column(root / _LABELS, images),
        part_of=column(root / _SPLIT, images),
        box_of=column(root / _BOXES, images),
        points=parts.points,
    )
    named = options.taxonomy.name if options.taxonomy else "eBird/Clements checklist, 2023"
    content = _INFO | {
        "levels": _levels(classes, places),
        "landmarks": parts.names,
        "mirror": parts.mirror(),
        "source": f"{_SOURCE}{named}",
    }
    return Findings(
        make_info(content, str(root)), [reader.found(number, name) for number, name in images.items()]
    )


def _root(source: Path) -> Path:
    for root in (source, source / FOLDER):
        if (root / IMAGES).is_file():
            return root
    raise DataError(
        f"{source} must hold {IMAGES} and the folder images, or {FOLDER} with them, but has none."
    )


def _segmentations(source: Path, root: Path) -> Inside | None:
    """The outlines, which come as an archive of their own: beside the images, or beside the set."""
    folders = [root / _SEGMENTATIONS, source / _SEGMENTATIONS]
    return next((Inside(folder) for folder in folders if folder.is_dir()), None)


def _levels(classes: Mapping[str, str], places: Mapping[str, Place]) -> dict[str, list[str]]:
    """The classes of each level, in the order in which classes.txt first names one of their species."""
    species = list(classes.values())
    return {
        "species": species,
        "genus": list(dict.fromkeys(places[name].genus for name in species)),
        "family": list(dict.fromkeys(places[name].family for name in species)),
    }


@dataclass(frozen=True)
class _Reader:
    """Reads what belongs to one image; the last four are by the number of the image."""

    root: Path
    images: Inside
    segmentations: Inside | None
    classes: Mapping[str, str]
    places: Mapping[str, Place]
    class_of: Mapping[str, str]
    part_of: Mapping[str, str]
    box_of: Mapping[str, str]
    points: Mapping[str, str]

    def found(self, number: str, name: str) -> Found:
        """One image of the list.

        Raises:
            DataError: if its path leaves the folder, or its class, part or box is none.
        """
        where = f"{self.root / IMAGES}, image {number}"
        stem = str(Path(name).with_suffix(""))
        columns = {"split": self._part(number), f"box.{ZONE}": self._box(number)}
        if number in self.points:
            columns["points"] = self.points[number]
        return Found(
            stem,
            self.images.path(name, where),
            self._labels(number),
            self._outline(stem, where),
            columns=columns,
        )

    def _labels(self, number: str) -> dict[str, str]:
        where = f"{self.root / _LABELS}, image {number}: the number of the class"
        species = self.classes[one_of(where, self.class_of[number], self.classes, DataError)]
        return {"species": species, **self.places[species]._asdict()}

    def _part(self, number: str) -> str:
        where = f"{self.root / _SPLIT}, image {number}: whether it is to train with"
        return _PARTS[one_of(where, self.part_of[number], _PARTS, DataError)]

    def _box(self, number: str) -> str:
        where = f"{self.root / _BOXES}, image {number}"
        x, y, width, height = numbers_of(self.box_of[number], "x y width height", where)
        return f"{x:g} {y:g} {x + width:g} {y + height:g}"

    def _outline(self, stem: str, where: str) -> dict[str, "_Agreement"]:
        if self.segmentations is None:
            return {}
        path = self.segmentations.path(f"{stem}.png", where)
        return {ZONE: _Agreement(path)} if path.is_file() else {}


@dataclass(frozen=True)
class _Agreement:
    """An outline as half of the annotators or more drew it; the grey level is the share that did."""

    path: Path

    def __call__(self, shape: Shape) -> Mask:
        grey = read_grey(self.path)
        check_shape(self.path, grey.shape, shape)
        return grey >= _HALF

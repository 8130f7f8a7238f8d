"""Images with a LabelMe JSON file for each that somebody annotated; the labels of its shapes are the zones.

Polygons and circles become outlines, rectangles boxes, points points. What is not annotated is absent, unless
it is said that every zone was looked for in every annotated image.
"""

import posixpath
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from sonoprior.cases.images import Mask
from sonoprior.cases.info import make_info
from sonoprior.cases.inside import Inside
from sonoprior.core.errors import DataError

from .documents import Coordinate, Document, read_document
from .files import image_files, names_without_suffix, reading_order, require_folder
from .findings import Drawing, Findings, Found, ImportOptions, LeftOut, Shape, without_image
from .labels import read_labels
from .shapes import check_size, disc, polygon

# A file may carry its image along, as text.
_MOST_BYTES = 512 * 1024**2
_LEAST_POINTS = {"polygon": 3, "rectangle": 2, "circle": 2, "point": 1}


class _Shape(Document):
    label: str
    points: list[tuple[Coordinate, Coordinate]]
    shape_type: Literal["polygon", "rectangle", "circle", "point"] = "polygon"

    @model_validator(mode="after")
    def _enough(self) -> "_Shape":
        least, came = _LEAST_POINTS[self.shape_type], len(self.points)
        if came < least or (came > least and self.shape_type != "polygon"):
            more = "at least " if self.shape_type == "polygon" else ""
            raise ValueError(f"a {self.shape_type} must have {more}{least} points, but has {came}")
        return self


class _File(Document):
    image: str = Field(alias="imagePath")
    height: int = Field(alias="imageHeight")
    width: int = Field(alias="imageWidth")
    shapes: list[_Shape]


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images of a folder, and the LabelMe files that are about them.

    A file that cannot be read is left out, and its image stays, without it.

    Args:
        source: the folder.
        options: `labels`, `columns` and `complete` apply.

    Raises:
        DataError: if a label cannot be the name of a zone, or two files are about one image.
    """
    options.only("labelme", "labels", "columns", "complete")
    root = Path(require_folder(source)).resolve()
    images = [path.relative_to(root) for path in image_files(root)]
    labels = read_labels(options, [image.as_posix() for image in images])
    left_out = list(labels.left_out)
    files = _files(root, set(images), left_out)
    zones = sorted({shape.label for file in files.values() for shape in file.shapes}, key=reading_order)
    info = make_info({"name": root.name, "levels": labels.levels, "zones": zones}, str(source))
    findings = Findings(info, [], left_out)
    for image, case in names_without_suffix(images).items():
        label, columns = labels.of(image.as_posix())
        outlines: Mapping[str, list[Path] | Drawing] = {}
        if image in files:
            places = _places(files[image])
            columns, outlines = columns | places, _outlines(files[image], zones, options.complete)
        findings.cases.append(Found(case, root / image, label, outlines, columns=columns))
    return findings


def _files(root: Path, images: set[Path], left_out: list[LeftOut]) -> dict[Path, _File]:
    """Image to the file about it; files that cannot be used are added to `left_out`."""
    inside = Inside(root)
    files: dict[Path, _File] = {}
    first: dict[Path, Path] = {}
    for path in sorted(root.rglob("*.json"), key=lambda path: reading_order(path.as_posix())):
        try:
            file = read_document(path, _File, _MOST_BYTES)
            # Written on any system, relative to the file, and perhaps by way of the folder above.
            beside = posixpath.join(path.parent.relative_to(root).as_posix(), file.image.replace("\\", "/"))
            image = inside.path(posixpath.normpath(beside), f"{path}, imagePath").relative_to(root)
        except DataError as error:
            left_out.append(LeftOut(str(path), str(error)))
            continue
        if image not in images:
            left_out.append(without_image(path))
            continue
        if first.setdefault(image, path) != path:
            raise DataError(f"{first[image]} and {path} are both about {image}; keep one of them.")
        files[image] = file
    return files


def _outlines(file: _File, zones: list[str], complete: bool) -> dict[str, list[Path] | Drawing]:
    drawn: dict[str, list[_Shape]] = defaultdict(list)
    for shape in file.shapes:
        if shape.shape_type in ("polygon", "circle"):
            drawn[shape.label].append(shape)
    size = (file.height, file.width)
    outlines: dict[str, list[Path] | Drawing] = {
        zone: _Drawn(tuple(shapes), size) for zone, shapes in drawn.items()
    }
    named = {shape.label for shape in file.shapes}
    return outlines | ({zone: [] for zone in zones if zone not in named} if complete else {})


def _places(file: _File) -> dict[str, str]:
    """The columns of boxes and points."""
    cells: dict[str, list[str]] = defaultdict(list)
    for shape in file.shapes:
        if shape.shape_type == "rectangle":
            (x0, y0), (x1, y1) = np.sort(shape.points, axis=0).tolist()
            cells[f"box.{shape.label}"].append(f"{x0:g} {y0:g} {x1:g} {y1:g}")
        elif shape.shape_type == "point":
            # Its plane begins at the corner of the first pixel, that of a case set at its centre.
            ((x, y),) = shape.points
            cells[f"point.{shape.label}"].append(f"{x - 0.5:g} {y - 0.5:g}")
    return {column: ";".join(items) for column, items in cells.items()}


@dataclass(frozen=True)
class _Drawn:
    """The union of the polygons and circles of one zone in one image."""

    shapes: tuple[_Shape, ...]
    size: Shape

    def __call__(self, shape: Shape) -> Mask:
        check_size(f"'{self.shapes[0].label}'", self.size, shape)
        united = np.zeros(shape, dtype=bool)
        for drawn in self.shapes:
            if drawn.shape_type == "circle":
                centre, edge = drawn.points
                united |= disc(centre, edge, shape)
            else:
                united |= polygon(np.array(drawn.points), shape)
        return united

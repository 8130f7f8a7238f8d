"""Outlines in the JSON of COCO: polygons, or run lengths in either form; its categories are the zones.

An annotation without an outline gives its box. What is not annotated is absent, unless it is said that every
zone was looked for in every image.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from sonoprior.cases.images import Mask
from sonoprior.cases.info import make_info
from sonoprior.cases.inside import Inside
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError

from .documents import Coordinate, Document, read_document
from .files import names_without_suffix, require_folder
from .findings import Drawing, Findings, Found, ImportOptions, LeftOut, Shape
from .labels import Labels, read_labels
from .records import check_once
from .shapes import check_size, polygon, runs, unpacked

_MOST_BYTES = 2 * 1024**3


class _Image(Document):
    id: int | str
    file_name: str
    width: int = Field(ge=1)
    height: int = Field(ge=1)


class _Category(Document):
    id: int | str
    name: str


class _Runs(Document):
    counts: str | list[int]
    size: tuple[int, int]


class _Annotation(Document):
    id: int | str = "without id"
    image_id: int | str
    category_id: int | str
    segmentation: list[list[Coordinate]] | _Runs | None = None
    bbox: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None


class _File(Document):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


def find_cases(source: Path, options: ImportOptions) -> Findings:
    """Find the images that a COCO file names.

    Args:
        source: the folder that its file names are relative to.
        options: `annotations` is the file; `labels`, `columns` and `complete` apply.

    Raises:
        DataError: if the file is missing or wrong, or names an image or a category that it does not list.
    """
    options.only("coco", "annotations", "labels", "columns", "complete")
    if options.annotations is None:
        raise DataError("the importer 'coco' needs a file: data import coco IMAGES ANNOTATIONS.json OUT.")
    path = options.annotations
    file = read_document(path, _File, _MOST_BYTES)
    check_once(path, [image.file_name for image in file.images])
    labels = read_labels(options, [image.file_name for image in file.images])
    zones = {category.id: category.name for category in file.categories}
    info = make_info(
        {"name": path.stem, "levels": labels.levels, "zones": [c.name for c in file.categories]}, str(path)
    )
    reader = _Reader(path, Inside(require_folder(source)), zones, options.complete, labels)
    findings = Findings(info, [], list(labels.left_out))
    drawn = _by_image(file, zones, path)
    names = names_without_suffix([Path(image.file_name) for image in file.images])
    for image in file.images:
        found = reader.found(names[Path(image.file_name)], image, drawn.get(image.id, []), findings.left_out)
        findings.cases.append(found)
    return findings


def _by_image(file: _File, zones: Mapping[int | str, str], path: Path) -> dict[int | str, list[_Annotation]]:
    check_once(path, [str(image.id) for image in file.images], "id of an image")
    check_once(path, [str(category.id) for category in file.categories], "id of a category")
    images = {str(image.id): image.id for image in file.images}
    drawn: dict[int | str, list[_Annotation]] = defaultdict(list)
    for annotation in file.annotations:
        where = f"{path}, annotation {annotation.id}"
        one_of(f"{where}: image_id", str(annotation.image_id), images, DataError)
        if annotation.category_id not in zones:
            known = [str(zone) for zone in zones]
            one_of(f"{where}: category_id", str(annotation.category_id), known, DataError)
        drawn[images[str(annotation.image_id)]].append(annotation)
    return drawn


@dataclass(frozen=True)
class _Reader:
    path: Path
    images: Inside
    zones: Mapping[int | str, str]
    complete: bool
    labels: Labels

    def found(self, case: str, image: _Image, drawn: list[_Annotation], left_out: list[LeftOut]) -> Found:
        """One image with its annotations; those that say nothing are added to `left_out`."""
        outlined: dict[str, list[_Annotation]] = defaultdict(list)
        boxed: dict[str, list[str]] = defaultdict(list)
        for annotation in drawn:
            zone = self.zones[annotation.category_id]
            where = f"{self.path}, annotation {annotation.id}"
            if annotation.segmentation:
                outlined[zone].append(annotation)
            elif annotation.bbox:
                boxed[zone].append(_box(annotation.bbox))
            else:
                left_out.append(LeftOut(where, f"{where} has neither an outline nor a box."))
        size = (image.height, image.width)
        outlines: dict[str, list[Path] | Drawing] = {
            zone: _Drawn(tuple(annotations), size, f"{self.path}, case '{case}', zone '{zone}'")
            for zone, annotations in outlined.items()
        }
        if self.complete:
            outlines |= {zone: [] for zone in self.zones.values() if zone not in outlined | boxed}
        labels, columns = self.labels.of(image.file_name)
        boxes = {f"box.{zone}": ";".join(cells) for zone, cells in boxed.items()}
        place = self.images.path(image.file_name, f"{self.path}, image {image.id}")
        return Found(case, place, labels, outlines, columns={**columns, **boxes})


def _box(bbox: tuple[float, float, float, float]) -> str:
    x, y, width, height = bbox
    return f"{x:g} {y:g} {x + width:g} {y + height:g}"


@dataclass(frozen=True)
class _Drawn:
    """The union of the outlines of one zone in one image."""

    annotations: tuple[_Annotation, ...]
    size: Shape
    where: str

    def __call__(self, shape: Shape) -> Mask:
        check_size(f"{self.where}:", self.size, shape)
        united = np.zeros(shape, dtype=bool)
        for annotation in self.annotations:
            united |= _mask(annotation, shape, f"{self.where}, annotation {annotation.id}")
        return united


def _mask(annotation: _Annotation, shape: Shape, where: str) -> Mask:
    drawn = annotation.segmentation
    if isinstance(drawn, _Runs):
        if drawn.size != shape:
            raise DataError(
                f"{where}: the run lengths are for {drawn.size[1]} x {drawn.size[0]} pixels, but the image"
                f" has {shape[1]} x {shape[0]}."
            )
        return runs(
            unpacked(drawn.counts, where) if isinstance(drawn.counts, str) else drawn.counts, shape, where
        )
    united = np.zeros(shape, dtype=bool)
    for numbers in drawn or ():
        if len(numbers) % 2 or len(numbers) < 6:
            raise DataError(
                f"{where}: a polygon must have x and y of at least 3 points, but has {len(numbers)} numbers."
            )
        united |= polygon(np.array(numbers).reshape(-1, 2), shape)
    return united

"""Every file is opened once: can it be read, does it fit its image, what does it show?"""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

import numpy as np

from sonoprior.cases.annotations import check_place, map_areas
from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.columns import family_of
from sonoprior.cases.duplicates import Sketches
from sonoprior.cases.images import SMALLEST_SIDE, Grey
from sonoprior.core.errors import DataError

from .report import Finding

_PLACE = re.compile(r".*?, column '[^']*'")


@dataclass(frozen=True)
class Files:
    """What was seen while every file was opened.

    Attributes:
        sketches: of the images, for the search for duplicates.
        shapes: (H, W) of each image that could be read, by position.
        blank: positions of images that are one grey level all over.
        drawn: zone to {position: whether its outline has any pixel}; absent ones are not there.
        faults: position to one sentence for each annotation that cannot be used.
    """

    sketches: Sketches
    shapes: dict[int, tuple[int, int]]
    blank: set[int]
    drawn: dict[str, dict[int, bool]]
    faults: dict[int, list[str]]


@dataclass
class _Reader:
    """Reads the image of a case and, while it is at hand, looks at everything that belongs to it."""

    case_set: CaseSet
    told: Set[str]  # cells that were found wrong without opening a file
    shapes: dict[int, tuple[int, int]] = field(default_factory=dict)
    blank: set[int] = field(default_factory=set)
    drawn: dict[str, dict[int, bool]] = field(default_factory=dict)
    faults: dict[int, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.drawn.update({zone: {} for zone in self.case_set.info.zones})

    def read(self, i: int) -> Grey:
        if self.case_set.column("image")[i] is None or self._is_told(i, "image"):
            raise DataError("")  # its reason stands among the faults of the table
        image = self.case_set.read_image(i)
        self.shapes[i] = image.shape
        if image.min() == image.max():
            self.blank.add(i)
        faults = [*self._zones(i), *self._others(i, image.shape)]
        if faults:
            self.faults[i] = faults
        return image

    def _is_told(self, i: int, column: str) -> bool:
        return self.case_set.where(i, column) in self.told

    def _zones(self, i: int) -> Iterator[str]:
        """Faults of the outlines; which zones are drawn is noted on the way."""
        own = [zone for zone in self.drawn if self.case_set.column(f"outline.{zone}")[i] is not None]
        mapped = [zone for zone in self.drawn if zone not in own]
        asked = [([zone], f"outline.{zone}") for zone in own]
        if mapped and self.case_set.column("zonemap")[i] is not None:
            asked.append((mapped, "zonemap"))
        for zones, column in asked:
            if self._is_told(i, column):
                continue
            try:
                outlines = self.case_set.outlines(i, zones)
            except DataError as error:
                yield str(error)
                continue
            for zone, outline in outlines.items():
                self.drawn[zone][i] = outline is not None and bool(outline.any())

    def _others(self, i: int, shape: tuple[int, int]) -> Iterator[str]:
        """Faults of maps, boxes, points and landmarks."""
        for column in self.case_set.table.columns:
            cell = self.case_set.column(column)[i]
            if cell is None or self._is_told(i, column):
                continue
            try:
                if family_of(column) == "map":
                    map_areas(self.case_set, i, [column.partition(".")[2]])
                else:
                    check_place(column, cell, self.case_set.info, shape, self.case_set.where(i, column))
            except DataError as error:
                yield str(error)


def open_files(case_set: CaseSet, told: list[Finding]) -> Files:
    """Open every file of a case set.

    Args:
        case_set: the cases, whatever is wrong with them; their ids must be unique.
        told: what is known to be wrong already, and not looked at again.
    """
    places = [_PLACE.match(finding.message) for finding in told]
    reader = _Reader(case_set, {place.group() for place in places if place})
    sketches = Sketches.read(reader.read, len(case_set))
    return Files(sketches, reader.shapes, reader.blank, reader.drawn, reader.faults)


def file_findings(case_set: CaseSet, files: Files) -> Iterator[Finding]:
    """What cannot be read, does not fit, or shows nothing."""
    ids = [str(case) for case in case_set.column("case")]
    for i, reason in files.sketches.errors.items():
        if reason:
            yield Finding(kind="unreadable", severity="fatal", message=reason, cases=[ids[i]])
    for i, faults in sorted(files.faults.items()):
        for fault in faults:
            yield Finding(kind="annotation", severity="fatal", message=fault, cases=[ids[i]])
    for i, shape in sorted(files.shapes.items()):
        flaw = _flaw(i, shape, files)
        if flaw:
            where = case_set.where(i, "image")
            yield Finding(
                kind="poor image", severity="warning", message=f"{where}: the image {flaw}.", cases=[ids[i]]
            )


def _flaw(i: int, shape: tuple[int, int], files: Files) -> str:
    if min(shape) < SMALLEST_SIDE:
        return f"should have at least {SMALLEST_SIDE} pixels a side, but has {shape[1]} x {shape[0]}"
    return "is one grey level all over" if i in files.blank else ""


def common_sizes(files: Files, most: int = 8) -> dict[str, int]:
    """The most frequent image sizes, "width x height" to count; the others together as "other"."""
    if not files.shapes:
        return {}
    sizes, counts = np.unique(np.array(list(files.shapes.values())), axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    named = {f"{sizes[k][1]} x {sizes[k][0]}": int(counts[k]) for k in order[:most]}
    rest = int(counts[order[most:]].sum())
    return named | ({"other": rest} if rest else {})

"""Reading, checking and writing what an importer found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sonoprior.cases.annotations import check_place
from sonoprior.cases.cells import EMPTY
from sonoprior.cases.combinations import classes_in
from sonoprior.cases.images import SMALLEST_SIDE, Grey, check_shape, read_grey, read_mask
from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.writer import CaseSetWriter, Outline
from sonoprior.core.errors import DataError
from sonoprior.core.progress import track

from .findings import Drawing, Findings, Found, LeftOut, Picture, Shading, Shape

_Item = TypeVar("_Item")
_Checked = TypeVar("_Checked")


@dataclass(frozen=True)
class _Usable:
    """What of a case can be used, as the writer takes it."""

    found: Found
    image: Path | Grey
    outlines: dict[str, Outline]
    maps: dict[str, Path | Grey]
    columns: dict[str, str]

    @property
    def outlined(self) -> str:
        """Whether any outline is "drawn", all are "empty", or all are "absent"."""
        if not self.outlines:
            return "absent"
        empty = all(isinstance(outline, str) for outline in self.outlines.values())
        return "empty" if empty else "drawn"


@dataclass
class ImportReport:
    """What came into the case set and what did not.

    Attributes:
        name: of the case set.
        cases: how many.
        classes: level to class to number of cases.
        outlines: number of cases whose outlines are "drawn", all "empty", or "absent".
        left_out: files, rows and annotations that did not come in, and why.
    """

    name: str
    cases: int = 0
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    outlines: dict[str, int] = field(default_factory=lambda: {"drawn": 0, "empty": 0, "absent": 0})
    left_out: list[LeftOut] = field(default_factory=list)

    def count(self, labels: Mapping[str, str], outlined: str) -> None:
        """Count a case that came in, by its classes and the state of its outlines."""
        self.cases += 1
        for level, cell in labels.items():
            # A level in which several may be shown has no class with the sign between them.
            for name in [cell] if cell in self.classes[level] else classes_in(cell):
                self.classes[level][name] += 1
        self.outlines[outlined] += 1


def import_cases(findings: Findings, out: Path, *, strict: bool = False) -> ImportReport:
    """Write a case set of what an importer found.

    An image that cannot be read is left out; an annotation that cannot be read or does not fit its image is
    left out too, and the image stays, without it. Both are listed.

    Args:
        findings: what an importer found.
        out: the new folder.
        strict: raise instead of leaving something out.

    Raises:
        FolderError: if `out` exists or cannot be written.
        DataError: if no image can be used, two have one id, or, with `strict`, anything cannot be used.
            Nothing is written then.
    """
    classes = {level: dict.fromkeys(names, 0) for level, names in findings.info.levels.items()}
    report = ImportReport(findings.info.name, classes=classes)
    _leave_out(findings.left_out, report, strict)
    with CaseSetWriter(out, findings.info) as writer:
        for found in track(findings.cases, f"Importing {report.name}"):
            case, faults = _checked(found, findings.info)
            _leave_out(faults, report, strict)
            if case is not None:
                _add(case, writer)
                report.count(case.found.labels, case.outlined)
        if not report.cases:
            first = report.left_out[0].reason if report.left_out else "there are none."
            raise DataError(f"none of the images of {report.name} can be used; the first: {first}")
    return report


def _leave_out(faults: Sequence[LeftOut], report: ImportReport, strict: bool) -> None:
    if strict and faults:
        raise DataError(faults[0].reason)
    report.left_out.extend(faults)


def _add(case: _Usable, writer: CaseSetWriter) -> None:
    found = case.found
    columns: dict[str, Any] = case.columns
    writer.add(found.case, case.image, labels=found.labels, outlines=case.outlines, maps=case.maps, **columns)


def _checked(found: Found, info: DatasetInfo) -> tuple[_Usable | None, list[LeftOut]]:
    """The case without what cannot be used, None if that is its image; and what it lost."""
    try:
        image, shape = _image_of(found.image)
    except DataError as error:
        return None, [LeftOut(str(found.image), str(error))]
    faults: list[LeftOut] = []

    def place(column: str, cell: str) -> str:
        check_place(column, cell, info, shape, f"case '{found.case}', column '{column}'")
        return cell

    outlines = _usable(found, found.outlines, lambda _, drawn: _drawn(drawn, shape), faults)
    maps = _usable(found, found.maps, lambda _, made: _of_shape(made, shape), faults)
    columns = _usable(found, found.columns, place, faults)
    return _Usable(found, image, outlines, maps, columns), faults


def _usable(
    case: Found, items: Mapping[str, _Item], check: Callable[[str, _Item], _Checked], faults: list[LeftOut]
) -> dict[str, _Checked]:
    """The items that pass a check, as it returns them; the others become faults."""
    kept: dict[str, _Checked] = {}
    for name, item in items.items():
        try:
            kept[name] = check(name, item)
        except DataError as error:
            faults.append(LeftOut(f"{case.case}, {name}", str(error)))
    return kept


def _image_of(image: Path | Picture) -> tuple[Path | Grey, Shape]:
    """What is stored, a file as it is and anything else as its pixels; and its (H, W)."""
    pixels = read_grey(image) if isinstance(image, Path) else image.read()
    height, width = pixels.shape
    if min(height, width) < SMALLEST_SIDE:
        smallest = f"{SMALLEST_SIDE} x {SMALLEST_SIDE}"
        raise DataError(f"{image} must have at least {smallest} pixels, but has {width} x {height}.")
    return image if isinstance(image, Path) else pixels, (height, width)


def _drawn(drawn: Sequence[Path] | Drawing, shape: Shape) -> Outline:
    """The files of an outline, or what was drawn; the mark of an empty one if all of it is black."""
    if isinstance(drawn, Sequence):
        masks = [read_mask(path, shape) for path in drawn]
        return drawn if any(mask.any() for mask in masks) else EMPTY
    mask = drawn(shape)
    return mask if mask.any() else EMPTY


def _of_shape(made: Path | Shading, shape: Shape) -> Path | Grey:
    if not isinstance(made, Path):
        return made(shape)
    check_shape(made, read_grey(made).shape, shape)
    return made

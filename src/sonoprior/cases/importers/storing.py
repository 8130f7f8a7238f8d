"""Reading, checking and writing what an importer found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from sonoprior.cases.annotations import check_place
from sonoprior.cases.cells import EMPTY
from sonoprior.cases.images import SMALLEST_SIDE, check_shape, read_grey, read_mask
from sonoprior.cases.info import DatasetInfo
from sonoprior.cases.writer import CaseSetWriter
from sonoprior.core.errors import DataError
from sonoprior.core.progress import track

from .findings import Findings, Found, LeftOut

_Item = TypeVar("_Item")
_Shape = tuple[int, int]


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

    def count(self, case: Found) -> None:
        """Count a case that came in."""
        self.cases += 1
        for level, name in case.labels.items():
            self.classes[level][name] += 1
        drawn = any(case.outlines.values())
        self.outlines["drawn" if drawn else "empty" if case.outlines else "absent"] += 1


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
                report.count(case)
        if not report.cases:
            first = report.left_out[0].reason if report.left_out else "there are none."
            raise DataError(f"none of the images of {report.name} can be used; the first: {first}")
    return report


def _leave_out(faults: Sequence[LeftOut], report: ImportReport, strict: bool) -> None:
    if strict and faults:
        raise DataError(faults[0].reason)
    report.left_out.extend(faults)


def _add(case: Found, writer: CaseSetWriter) -> None:
    outlines = {zone: list(paths) or EMPTY for zone, paths in case.outlines.items()}
    columns: dict[str, Any] = dict(case.columns)
    writer.add(case.case, case.image, labels=case.labels, outlines=outlines, maps=case.maps, **columns)


def _checked(found: Found, info: DatasetInfo) -> tuple[Found | None, list[LeftOut]]:
    """The case without what cannot be used, None if that is its image; and what it lost."""
    try:
        shape = _shape_of(found.image)
    except DataError as error:
        return None, [LeftOut(str(found.image), str(error))]
    faults: list[LeftOut] = []

    def place(column: str, cell: str) -> str:
        check_place(column, cell, info, shape, f"case '{found.case}', column '{column}'")
        return cell

    outlines = _usable(found, found.outlines, lambda _, paths: _drawn(paths, shape), faults)
    maps = _usable(found, found.maps, lambda _, path: _of_shape(path, shape), faults)
    columns = _usable(found, found.columns, place, faults)
    return replace(found, outlines=outlines, maps=maps, columns=columns), faults


def _usable(
    case: Found, items: Mapping[str, _Item], check: Callable[[str, _Item], _Item], faults: list[LeftOut]
) -> dict[str, _Item]:
    """The items that pass a check, as it returns them; the others become faults."""
    kept: dict[str, _Item] = {}
    for name, item in items.items():
        try:
            kept[name] = check(name, item)
        except DataError as error:
            faults.append(LeftOut(f"{case.case}, {name}", str(error)))
    return kept


def _shape_of(image: Path) -> _Shape:
    height, width = read_grey(image).shape
    if min(height, width) < SMALLEST_SIDE:
        smallest = f"{SMALLEST_SIDE} x {SMALLEST_SIDE}"
        raise DataError(f"{image} must have at least {smallest} pixels, but has {width} x {height}.")
    return height, width


def _drawn(paths: Sequence[Path], shape: _Shape) -> Sequence[Path]:
    """The files of an outline; none of them if all are black, which is an empty outline."""
    masks = [read_mask(path, shape) for path in paths]
    return paths if any(mask.any() for mask in masks) else []


def _of_shape(path: Path, shape: _Shape) -> Path:
    check_shape(path, read_grey(path).shape, shape)
    return path

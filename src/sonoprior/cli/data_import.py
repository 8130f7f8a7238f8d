"""`sonoprior data import`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sonoprior.core.errors import DataError

from .output import print_json, print_table

if TYPE_CHECKING:
    from sonoprior.cases.importers import ImportReport

_MOST_LINES = 20


def import_set(
    name: str,
    source: Path,
    out: Path,
    *,
    columns: Annotated[Sequence[str], Parameter(name="--map", negative=())] = (),
    images: Path | None = None,
    masks: Path | None = None,
    strict: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Turn a folder or a CSV into a case set.

    An image that cannot be read is left out and listed; an outline, box or point that does not fit its
    image is left out and listed, and the image stays.

    Args:
        name: what SOURCE is: busi (the folder of the BUSI data), folder (CLASS/IMAGE with an optional tree
            masks/CLASS/IMAGE), csv (one row an image).
        source: the folder or the CSV.
        out: the new folder for the case set.
        columns: for a CSV, COLUMN_OF_A_CASE_SET=COLUMN_OF_THE_CSV, once for each: image=filename,
            label.view=plane, patient=pid, outline.sac=mask, box.sac=x0,y0,x1,y1, point.sac=x,y. A column that
            bears the name of a case set's column needs no map; extra.NAME=NAME carries it along unused.
        images: for a CSV, the folder that image paths are relative to (default: the folder of the CSV).
        masks: the folder that outlines are relative to (default: for a CSV that of the images).
        strict: stop, and write nothing, where something would be left out.
        as_json: print the summary as JSON.
    """
    from sonoprior.cases.importers import IMPORTERS, ImportOptions, import_cases

    options = ImportOptions(dict(_pair(text) for text in columns), images, masks)
    report = import_cases(IMPORTERS.load(name)(source, options), out, strict=strict)
    if as_json:
        print_json(asdict(report) | {"out": str(out)})
        return
    print_table(f"{report.name}: {report.cases} cases", ("", "cases"), _counts(report))
    _print_left_out([fault.reason for fault in report.left_out])
    print(f"case set: {out}")


def _counts(report: "ImportReport") -> Iterator[tuple[str, int]]:
    for level, counts in report.classes.items():
        yield from ((f"{level}: {name}", count) for name, count in counts.items())
    yield from ((f"outlines {state}", count) for state, count in report.outlines.items())
    yield "left out", len(report.left_out)


def _print_left_out(reasons: Sequence[str]) -> None:
    for reason in reasons[:_MOST_LINES]:
        print(f"left out: {reason}")
    if len(reasons) > _MOST_LINES:
        print(f"left out: {len(reasons) - _MOST_LINES} more; --json lists them all")


def _pair(text: str) -> tuple[str, str]:
    target, equals, column = text.partition("=")
    if not (target and equals and column):
        raise DataError(f"--map must be COLUMN_OF_A_CASE_SET=COLUMN_OF_THE_CSV, but got '{text}'.")
    return target, column

"""`sonoprior data import`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sonoprior.core.errors import DataError

from .output import print_json, print_table

if TYPE_CHECKING:
    from sonoprior.cases.importers import ImportReport

_MOST_LINES = 20


@Parameter(name="*")
@dataclass(frozen=True)
class ImportFlags:
    """What only some importers have a use for; the others refuse it."""

    columns: Annotated[Sequence[str], Parameter(name="--map", negative=())] = field(default=())
    """For a CSV, COLUMN_OF_A_CASE_SET=COLUMN_OF_THE_CSV, once for each: image=filename, label.view=plane,
    patient=pid, outline.sac=mask, outline.sac@RATER=mask, box.sac=x0,y0,x1,y1, point.sac=x,y. A column that
    bears the name of a case set's column needs no map; extra.NAME=NAME carries it along unused."""
    several: Annotated[Sequence[str], Parameter(negative=())] = field(default=())
    """For csv, a label level in which an image may show several classes, once for each: its cells are
    liver;kidney, @empty where an image shows none of them, and empty where nobody said."""
    images: Path | None = None
    """For csv, the folder that image paths are relative to (default: the folder of the CSV)."""
    masks: Path | None = None
    """For csv and folder, the folder of the outlines (default: that of the images; SOURCE/masks)."""
    raters: str | None = None
    """For csv and folder, several raters' outlines of one image: apart (a zone a rater), united, or averaged
    (a heat map of the share of raters). A rater who drew nothing has no say; an empty outline has."""
    threshold: float | None = None
    """With --raters averaged, make an outline too: where at least this share of the raters outlined."""
    labels: str | None = None
    """For coco, labelme, clips and dicom, where labels stand: folders (the first folder of a path is the
    class), or a CSV with a column image (the path of an image or clip below SOURCE) and any of label.NAME,
    patient, exam, device, split, caption, terms, extra.NAME."""
    complete: Annotated[bool, Parameter(negative=())] = False
    """For coco and labelme: every zone was looked for in every annotated image, so that what is not outlined
    there is empty. Without it, it is absent: nobody said."""
    form: str | None = None
    """For rafdb: aligned (default), cropped-aligned, original, or in-the-wild."""
    landmarks: Path | None = None
    """For rafdb, a CSV with the columns image, x1, y1, ..., x68, y68, in pixels of the form's images."""
    margin: float | None = None
    """For rafdb, how much of the face's box is added on each side: always for cropped-aligned (default 0.1),
    at most for in-the-wild (default 0.5)."""
    taxonomy: Path | None = None
    """For cub, a CSV with the columns species, genus, family (default: the project's own)."""
    every: int | None = None
    """For clips and dicom, take one of so many frames of a clip (default: 1, every frame)."""
    keep_identifiers: Annotated[bool, Parameter(negative=())] = False
    """For dicom, keep patient, exam and file identifiers instead of pseudonyms."""
    salt: Path | None = None
    """For dicom, a file with the secret that pseudonyms are made with, so that several imports agree on them
    (default: a new secret, which nobody keeps)."""


def import_set(
    name: str,
    source: Path,
    *out: Path,
    flags: ImportFlags = ImportFlags(),
    strict: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Turn folders, tables, clips or DICOM files into a case set.

    An image that cannot be read is left out and listed; an outline, box or point that does not fit its
    image is left out and listed, and the image stays.

    Args:
        name: what SOURCE is: busi, fetal-planes, rafdb, affectnet, cub (the folder of these public data);
            folder (CLASS/IMAGE with an optional tree masks/CLASS/IMAGE); csv (one row an image); coco
            (images, with an ANNOTATIONS.json after them); labelme (images with a JSON file beside each);
            clips (MP4, AVI and other video files); dicom (still images and multi-frame clips).
        source: the folder or the CSV.
        out: the new folder for the case set; for coco ANNOTATIONS.json before it.
        flags: what only some importers have a use for.
        strict: stop, and write nothing, where something would be left out.
        as_json: print the summary as JSON.
    """
    from sonoprior.cases.importers import IMPORTERS, ImportOptions, import_cases

    annotations, folder = _last(out)
    said = {key: value for key, value in vars(flags).items() if key not in {"columns", "several"}}
    columns = dict(_pair(text) for text in flags.columns)
    options = ImportOptions(columns, tuple(flags.several), annotations=annotations, **said)
    report = import_cases(IMPORTERS.load(name)(source, options), folder, strict=strict)
    if as_json:
        print_json(asdict(report) | {"out": str(folder)})
        return
    print_table(f"{report.name}: {report.cases} cases", ("", "cases"), _counts(report))
    _print_left_out([fault.reason for fault in report.left_out])
    print(f"case set: {folder}")


def _last(paths: Sequence[Path]) -> tuple[Path | None, Path]:
    """A file of annotations, if there is one, and the new folder."""
    if len(paths) not in (1, 2):
        raise DataError(
            "data import takes NAME SOURCE OUT, or for coco NAME IMAGES ANNOTATIONS.json OUT, but got"
            f" {len(paths)} paths after SOURCE."
        )
    return (paths[0] if len(paths) == 2 else None), paths[-1]


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

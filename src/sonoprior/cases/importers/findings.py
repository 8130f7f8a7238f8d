"""What an importer is told and what it finds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol, TypeAlias

from sonoprior.cases.images import Grey, Mask
from sonoprior.cases.info import DatasetInfo
from sonoprior.core.errors import DataError

Shape: TypeAlias = tuple[int, int]
"""(H, W)."""
Drawing: TypeAlias = Callable[[Shape], Mask]
"""An outline that no file holds as it is: it is drawn for an image of this shape, or raises `DataError`."""
Shading: TypeAlias = Callable[[Shape], Grey]
"""A heat map that no file holds as it is: it is made for an image of this shape, or raises `DataError`."""


class Picture(Protocol):
    """An image that no file holds as it is: a frame of a clip, a part of a photograph."""

    def read(self) -> Grey:
        """The image, (H, W) uint8.

        Raises:
            DataError: if it cannot be made.
        """
        ...


@dataclass(frozen=True)
class ImportOptions:
    """What the person who imports may say; None, False or empty where nothing was said.

    Attributes:
        columns: column of a case set to the column, or columns, of a table that hold it.
        several: label levels in which a case may show several classes at once.
        images: folder that image paths are relative to.
        masks: folder that outline paths are relative to.
        annotations: file with what is known of the images, where that is one.
        labels: where labels and groups stand: "folders", or the path of a CSV.
        complete: whether a zone that is not outlined in an annotated image was looked for and is not there.
        raters: what becomes of several raters' outlines of one image, see `raters.WAYS`.
        threshold: share of the raters from which on a pixel belongs to the outline.
        form: which form of the images, for sets that have several.
        landmarks: CSV of landmarks.
        margin: how much of a face's box is added around it where images are cropped.
        taxonomy: CSV with the genus and family of species.
        every: which frames of a clip: every one, every second, ...
        keep_identifiers: whether the identifiers of patients and exams stay as they are.
        salt: file with the secret that pseudonyms are made with.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    several: tuple[str, ...] = ()
    images: Path | None = None
    masks: Path | None = None
    annotations: Path | None = None
    labels: str | None = None
    complete: bool = False
    raters: str | None = None
    threshold: float | None = None
    form: str | None = None
    landmarks: Path | None = None
    margin: float | None = None
    taxonomy: Path | None = None
    every: int | None = None
    keep_identifiers: bool = False
    salt: Path | None = None

    def only(self, importer: str, *allowed: str) -> None:
        """Refuse options that an importer has no use for.

        Raises:
            DataError: naming the importer and the option.
        """
        for option in fields(self):
            said = getattr(self, option.name)
            given = bool(said) if isinstance(said, bool | Mapping | tuple) else said is not None
            if given and option.name not in allowed:
                raise DataError(
                    f"the importer '{importer}' has no use for {_flag(option.name)}; leave it out."
                )


def _flag(option: str) -> str:
    named = {"columns": "--map", "annotations": "a file of annotations"}
    return named.get(option, f"--{option.replace('_', '-')}")


@dataclass(frozen=True)
class Found:
    """One image and what was found with it.

    Attributes:
        case: its id.
        image: its file, or how it is made.
        labels: level to class.
        outlines: zone to the files whose union outlines it, or to how it is drawn; no file means drawn
            and empty.
        maps: name to the file of an automatic mask or heat map, or to how it is made.
        columns: any other column.
    """

    case: str
    image: Path | Picture
    labels: Mapping[str, str] = field(default_factory=dict)
    outlines: Mapping[str, Sequence[Path] | Drawing] = field(default_factory=dict)
    maps: Mapping[str, Path | Shading] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A file or row that did not come into the case set, and why."""

    what: str
    reason: str


def without_image(annotation: Path) -> LeftOut:
    """An outline, or a file of them, whose image is not there."""
    return LeftOut(str(annotation), f"{annotation} outlines an image that is not there.")


@dataclass(frozen=True)
class Findings:
    """All that an importer found.

    Attributes:
        info: what the case set will say of itself.
        cases: the images.
        left_out: what was found and cannot be used.
    """

    info: DatasetInfo
    cases: list[Found]
    left_out: list[LeftOut] = field(default_factory=list)

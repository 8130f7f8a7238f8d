"""What an importer is told and what it finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from sonoprior.cases.info import DatasetInfo
from sonoprior.core.errors import DataError


@dataclass(frozen=True)
class ImportOptions:
    """What the person who imports may say.

    Attributes:
        columns: column of a case set to the column, or columns, of a table that hold it.
        images: folder that image paths are relative to.
        masks: folder that outline paths are relative to.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    images: Path | None = None
    masks: Path | None = None

    def only(self, importer: str, *allowed: str) -> None:
        """Refuse options that an importer has no use for.

        Raises:
            DataError: naming the importer and the option.
        """
        for option in fields(self):
            if getattr(self, option.name) and option.name not in allowed:
                flag = {"columns": "--map"}.get(option.name, f"--{option.name}")
                raise DataError(f"the importer '{importer}' has no use for {flag}; leave it out.")


@dataclass(frozen=True)
class Found:
    """One image and what was found with it.

    Attributes:
        case: its id.
        image: its file.
        labels: level to class.
        outlines: zone to the files whose union outlines it; no file means drawn and empty.
        maps: name to the file of an automatic mask or heat map.
        columns: any other column.
    """

    case: str
    image: Path
    labels: Mapping[str, str] = field(default_factory=dict)
    outlines: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    maps: Mapping[str, Path] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A file or row that did not come into the case set, and why."""

    what: str
    reason: str


def without_image(outline: Path) -> LeftOut:
    """An outline whose image is not there."""
    return LeftOut(str(outline), f"{outline} outlines an image that is not there.")


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

"""`dataset.yaml`: what a case set says of itself."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from sonoprior.core.checks import listed, nearest, one_of
from sonoprior.core.errors import DataError, FolderError
from sonoprior.core.folder import refuse_newer, write_text

from .combinations import BETWEEN, NONE

FORMAT = 1
FILE = "dataset.yaml"
_MOST_BYTES = 1_000_000
# Grouping names that always exist and therefore cannot be defined.
BUILT_IN_GROUPINGS = ("each", "one")
# Levels and zones become names of columns and folders.
_RESERVED = frozenset(";@/\\\n\r\t")


class DatasetInfo(BaseModel):
    """What holds for every case of a case set.

    Attributes:
        format: version of the case set's format.
        name: short name, for tables and reports.
        about: what the images show and how they were taken.
        levels: label levels, each with its classes in order; the first level is the default.
        several: the levels in which a case may show several classes at once, or none of them.
        zones: what may be outlined, boxed or marked with a point, in the order of an indexed zone map.
        landmarks: names of the landmarks, in the order of the column `points`.
        groupings: name of a grouping to {name of a map: the zones or landmarks that it unites}.
        mirror: pairs of classes, zones or landmarks that a mirrored image swaps.
        licence: under which the images may be used.
        source: where they come from.
        simulated: whether a simulator made them; every report then says so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    format: int = FORMAT
    name: str
    about: str = ""
    levels: dict[str, list[str]] = {}
    several: list[str] = []
    zones: list[str] = []
    landmarks: list[str] = []
    groupings: dict[str, dict[str, list[str]]] = {}
    mirror: list[tuple[str, str]] = []
    licence: str = ""
    source: str = ""
    simulated: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "DatasetInfo":
        _check_names("levels", list(self.levels), _RESERVED)
        _check_names("zones", self.zones, _RESERVED)
        _check_names("landmarks", self.landmarks)
        for level, classes in self.levels.items():
            _check_names(f"levels.{level}", classes)
        self._check_several()
        self._check_groupings()
        self._check_mirror()
        return self

    def _check_several(self) -> None:
        _check_names("several", self.several)
        for level in self.several:
            one_of("several: a level", level, list(self.levels), DataError)
            _check_names(f"levels.{level}", self.levels[level], _RESERVED)
            for name in self.levels[level]:
                if name == NONE or BETWEEN in name or name != name.strip():
                    raise DataError(
                        f"levels.{level}: a class that may stand beside others must not be called '{NONE}',"
                        f" hold '{BETWEEN}' or begin or end with a space, but got {name!r}."
                    )

    def _check_groupings(self) -> None:
        for name, groups in self.groupings.items():
            if name in BUILT_IN_GROUPINGS:
                raise DataError(
                    f"groupings: '{name}' always exists and cannot be defined; name it otherwise."
                )
            check_grouping(f"groupings.{name}", groups, self.zones + self.landmarks)

    def _check_mirror(self) -> None:
        known = [*self.zones, *self.landmarks, *(name for names in self.levels.values() for name in names)]
        mirrored = [name for pair in self.mirror for name in pair]
        for name in mirrored:
            one_of("mirror: a name", name, known, DataError)
        _check_names("mirror", mirrored)


def check_grouping(where: str, groups: dict[str, list[str]], known: list[str]) -> None:
    """Refuse a grouping without maps, with an empty map, or with an unknown name.

    Raises:
        DataError: saying which.
    """
    if not groups:
        raise DataError(f"{where} must hold at least one map, but it is empty.")
    for name, members in groups.items():
        if not members:
            raise DataError(f"{where}.{name} must unite at least one of {listed(known)}, but it is empty.")
        for member in members:
            one_of(f"{where}.{name}: a member", member, known, DataError)


def _check_names(where: str, names: list[str], reserved: frozenset[str] = frozenset()) -> None:
    for position, name in enumerate(names):
        if not name.strip(" .") or reserved & set(name):
            raise DataError(
                f"{where}: a name must be text without ; @ / \\ or line breaks, but got {name!r}."
            )
        if name in names[:position]:
            raise DataError(f"{where}: every name may stand there once, but '{name}' stands there twice.")


def read_info(folder: Path) -> DatasetInfo:
    """The `dataset.yaml` of a case set.

    Raises:
        FolderError: if it is missing, cannot be read, or has a newer format.
        DataError: if a field of it is wrong.
    """
    content = _read_mapping(folder / FILE)
    refuse_newer(folder / FILE, "case set", content.get("format"), FORMAT)
    return make_info(content, str(folder / FILE))


def make_info(content: dict[str, Any], where: str) -> DatasetInfo:
    """A `DatasetInfo` of fields that come from outside.

    Raises:
        DataError: naming `where` and the first field that is wrong.
    """
    try:
        return DatasetInfo.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{where}: {_sentence(error)}") from error


def write_info(folder: Path, info: DatasetInfo) -> None:
    """Write `dataset.yaml`, without the fields that say nothing."""
    said = {
        key: value for key, value in info.model_dump(mode="json").items() if value not in ("", [], {}, False)
    }
    write_text(folder / FILE, yaml.safe_dump(said, sort_keys=False, allow_unicode=True))


def _read_mapping(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FolderError(f"{path.parent} is not a case set: it has no {FILE}.")
    if path.stat().st_size > _MOST_BYTES:
        raise FolderError(
            f"{path} must not be larger than {_MOST_BYTES:,} bytes, but has {path.stat().st_size:,}."
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FolderError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise FolderError(f"{path} must hold fields such as 'name: ...', but got {type(content).__name__}.")
    return content


def _sentence(error: ValidationError) -> str:
    """The first of pydantic's complaints, in our words."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = list(DatasetInfo.model_fields)
        return (
            f"the field '{field}' is unknown; known are {listed(known, len(known))}.{nearest(field, known)}"
        )
    if first["type"] == "missing":
        return f"the field '{field}' is missing."
    if first["type"] == "value_error":
        return first["msg"].removeprefix("Value error, ")
    return f"the field '{field}' is wrong: {first['msg']}, but got {_shown(first['input'])}."


def _shown(value: object) -> str:
    """A value in a message; of a collection only the type, which may be huge."""
    return repr(value)[:80] if isinstance(value, str | int | float | None) else type(value).__name__

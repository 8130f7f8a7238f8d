"""A case set: images with everything known of each, in one folder."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError, FolderError

from .cells import EMPTY, split_items
from .columns import FAMILIES, PLAIN, family_of
from .combinations import Combinations, combinations_of
from .images import Grey, Mask, read_grey, read_indexed, read_mask, read_shape
from .info import DatasetInfo, read_info
from .inside import Inside
from .problems import problems
from .table import read_table, table_path

Column = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class CaseSet:
    """Cases by position: what the table says, and the files behind it, read when asked for.

    Every field but the image may be missing for a case, and missing is never the same as empty: an
    outline that nobody drew is None, an outline drawn and empty has no true pixel.

    Attributes:
        root: the folder.
        info: what `dataset.yaml` says.
        table: one row a case, all columns text, missing cells missing.
    """

    root: Path
    info: DatasetInfo
    table: pd.DataFrame
    _columns: dict[str, Column] = field(default_factory=dict, init=False, repr=False)
    _combined: dict[str, Combinations] = field(default_factory=dict, init=False, repr=False)

    @staticmethod
    def open(path: Path | str, *, check: bool = True) -> "CaseSet":
        """Open a folder as a case set.

        Args:
            path: the folder.
            check: refuse a set in which anything is wrong that shows without decoding pixels. Without
                it `problems` lists what is wrong; only an audit should go on from there.

        Raises:
            FolderError: if the folder is missing, is not a case set, or has a newer format.
            DataError: if the table or `dataset.yaml` is wrong; the first fault is named.
        """
        root = Path(path)
        if not root.is_dir():
            raise FolderError(f"{root} must be the folder of a case set, but there is no such folder.")
        case_set = CaseSet(root, read_info(root), read_table(table_path(root)))
        first = next(iter(case_set.problems()), None) if check else None
        if first is not None:
            raise DataError(first)
        return case_set

    def problems(self) -> Iterable[str]:
        """One sentence for each thing that is wrong, as far as it shows without decoding pixels."""
        return problems(self.root, self.info, self.table)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> list[str]:
        """The id of each case."""
        return self.table["case"].tolist()

    @property
    def default_level(self) -> str:
        """The first label level.

        Raises:
            DataError: if the set has no level.
        """
        if not self.info.levels:
            raise DataError(f"{self.root} has no labels: dataset.yaml names no levels.")
        return next(iter(self.info.levels))

    def classes(self, level: str | None = None) -> list[str]:
        """The K classes of a level, in order; of the default level if none is named.

        Where a case may show several classes, these are the label combinations that occur, see
        `combinations_of`: "liver + kidney".

        Raises:
            DataError: if there is no such level.
        """
        level = self._level(level)
        return self._combinations(level).names if level in self.info.several else self.info.levels[level]

    def labels(self, level: str | None = None) -> NDArray[np.int64]:
        """For each case the position of its class in `classes(level)`, (n,) int64; -1 where unknown."""
        level = self._level(level)
        if level in self.info.several:
            return self._combinations(level).labels
        numbers = {name: number for number, name in enumerate(self.info.levels[level])}
        cells = self.column(f"label.{level}")
        return np.array([-1 if cell is None else numbers[cell] for cell in cells], dtype=np.int64)

    def label_names(self, level: str | None = None) -> Column:
        """For each case the name of its class in `classes(level)`, (n,) of text or None where unknown."""
        return np.array([*self.classes(level), None], dtype=object)[self.labels(level)]

    def singles(self, level: str | None = None) -> list[str]:
        """The C single classes of a level, in order: those that `dataset.yaml` names."""
        return self.info.levels[self._level(level)]

    def members(self, level: str | None = None) -> NDArray[np.bool_]:
        """Which of the C single classes each of the K classes holds, (K, C); the identity for most levels."""
        level = self._level(level)
        if level in self.info.several:
            return self._combinations(level).members
        return np.eye(len(self.info.levels[level]), dtype=bool)

    def shown(self, level: str | None = None) -> dict[str, list[str]]:
        """Each of the K classes of a level with the single classes that it holds."""
        singles = np.array(self.singles(level), dtype=object)
        return {
            name: singles[held].tolist()
            for name, held in zip(self.classes(level), self.members(level), strict=True)
        }

    def _level(self, level: str | None) -> str:
        level = self.default_level if level is None else level
        return one_of(f"{self.root}: the level", level, list(self.info.levels), DataError)

    def _combinations(self, level: str) -> Combinations:
        if level not in self._combined:
            self._combined[level] = combinations_of(self.column(f"label.{level}"), self.info.levels[level])
        return self._combined[level]

    def groups(self) -> NDArray[np.str_]:
        """For each case what a split must not cut, (n,): its patient, else its exam, clip or itself.

        A case whose patient is missing belongs to the patient of its exam, where another case names one.
        """
        exams, patients = self.column("exam"), self.column("patient")
        of_exam = {exam: patient for exam, patient in zip(exams, patients, strict=True) if exam and patient}
        patients = [patient or of_exam.get(exam) for patient, exam in zip(patients, exams, strict=True)]
        rows = zip(patients, exams, self.column("clip"), self.ids, strict=True)
        return np.array([_first_known(*row) for row in rows], dtype=np.str_)

    def column(self, name: str) -> Column:
        """A column of the table, (n,) of text or None; all None where the table does not have it.

        Raises:
            DataError: if no table could have such a column.
        """
        if name not in self._columns:
            self._columns[name] = self._read_column(name)
        return self._columns[name]

    def _read_column(self, name: str) -> Column:
        if name not in self.table:
            if name not in PLAIN:
                one_of(f"{self.root}: a column", family_of(name), list(FAMILIES), DataError)
            return np.full(len(self), None, dtype=object)
        column = self.table[name].astype(object)
        return column.where(column.notna(), None).to_numpy()

    def named(self, family: str) -> list[str]:
        """The second parts of the table's columns of one family: ["cam"] for the columns "map.*"."""
        return [name.partition(".")[2] for name in self.table.columns if name.startswith(f"{family}.")]

    def where(self, i: int, column: str) -> str:
        """How a message names one cell."""
        return f"{self.root}: case '{self.column('case')[i]}', column '{column}'"

    def path(self, i: int, column: str) -> Path | None:
        """The file that a cell names; None where it is missing."""
        cell = self.column(column)[i]
        return None if cell is None else self._inside.path(cell, self.where(i, column))

    @cached_property
    def _inside(self) -> Inside:
        return Inside(self.root)

    def image_path(self, i: int) -> Path:
        """The image of a case."""
        return self._inside.path(self.column("image")[i], self.where(i, "image"))

    def read_image(self, i: int) -> Grey:
        """The image of a case as grey levels, (H, W) uint8.

        Raises:
            DataError: if it cannot be read.
        """
        return read_grey(self.image_path(i))

    def shape(self, i: int) -> tuple[int, int]:
        """(H, W) of the image of a case, from its header."""
        return read_shape(self.image_path(i))

    def outline(self, i: int, zone: str) -> Mask | None:
        """Where a zone is in a case, (H, W) bool.

        Returns:
            None where nobody outlined the zone; all false where it was outlined and is not there.

        Raises:
            DataError: if there is no such zone, or a file cannot be read or has another size than the image.
        """
        return self.outlines(i, [zone])[zone]

    def outlines(self, i: int, zones: Sequence[str] | None = None) -> dict[str, Mask | None]:
        """The outlines of several zones (all, if none are named), each file read once; see `outline`.

        An outline of its own goes before the zone's place in the zone map.
        """
        zones = self.info.zones if zones is None else zones
        for zone in zones:
            one_of(f"{self.root}: a zone", zone, self.info.zones, DataError)
        own = {zone: self.column(f"outline.{zone}")[i] for zone in zones}
        shape = self.shape(i)
        found = {zone: self._united(i, zone, cell, shape) for zone, cell in own.items() if cell is not None}
        mapped = self._from_zonemap(i, [zone for zone in zones if zone not in found], shape)
        return {zone: found.get(zone, mapped.get(zone)) for zone in zones}

    def _united(self, i: int, zone: str, cell: str, shape: tuple[int, int]) -> Mask:
        united = np.zeros(shape, dtype=bool)
        for item in split_items(cell) if cell != EMPTY else ():
            united |= read_mask(self._inside.path(item, self.where(i, f"outline.{zone}")), shape)
        return united

    def _from_zonemap(self, i: int, zones: Sequence[str], shape: tuple[int, int]) -> dict[str, Mask]:
        path = self.path(i, "zonemap") if zones else None
        if path is None:
            return {}
        indices = read_indexed(path, shape)
        if indices.max() > len(self.info.zones):
            raise DataError(
                f"{path} must hold indices from 0 to {len(self.info.zones)}, one a zone of dataset.yaml,"
                f" but got {indices.max()}."
            )
        return {zone: indices == self.info.zones.index(zone) + 1 for zone in zones}

    def outlined(self) -> NDArray[np.bool_]:
        """Whether anybody outlined any zone, drawn or empty, (n,) bool; from the table alone."""
        columns = [
            self.column(name) for name in ("zonemap", *(f"outline.{zone}" for zone in self.info.zones))
        ]
        return np.any([[cell is not None for cell in column] for column in columns], axis=0)

    def subset(self, positions: Sequence[int] | NDArray[np.integer]) -> "CaseSet":
        """The cases at these positions, in this order, over the same files."""
        return CaseSet(self.root, self.info, self.table.iloc[positions].reset_index(drop=True))

    def fingerprint(self) -> str:
        """A key of the content: table, `dataset.yaml`, and size and time of change of every file.

        It stays the same as long as nothing was changed, so that what was derived from a set can be kept.
        """
        # A field that a set does not use must not make it another set than it was before there was the field.
        unused = set() if self.info.several else {"several"}
        digest = hashlib.sha256(self.info.model_dump_json(exclude=unused).encode())
        for name in self.table.columns:
            cells = ["" if cell is None else cell for cell in self.column(name)]
            digest.update("\x1f".join([name, *cells]).encode())
            if family_of(name) in ("image", "zonemap", "outline", "map"):
                digest.update(self._file_states(cells, name).encode())
        return digest.hexdigest()

    def _file_states(self, cells: list[str], name: str) -> str:
        items = [item for cell in cells if cell not in ("", EMPTY) for item in split_items(cell)]
        paths = [self._inside.path(item, f"{self.root}, column '{name}'") for item in items]
        return ";".join(_state(path) for path in paths)


def _state(path: Path) -> str:
    try:
        state = path.stat()
    except FileNotFoundError:
        return "missing"
    return f"{state.st_size} {state.st_mtime_ns}"


def _first_known(patient: str | None, exam: str | None, clip: str | None, case: str) -> str:
    # The kind in front keeps a patient 7 apart from an exam 7.
    names = {"patient": patient, "exam": exam, "clip": clip, "case": case}
    return next(f"{kind}:{name}" for kind, name in names.items() if name)

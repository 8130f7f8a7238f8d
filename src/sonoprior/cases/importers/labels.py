"""Labels and groups of images that stand beside them: in the names of folders, or in a CSV."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sonoprior.cases.columns import family_of
from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError

from .files import reading_order
from .findings import ImportOptions, LeftOut
from .rows import Row, label_levels, members, read_rows

BY_FOLDERS = "folders"
_FOLDER_LEVEL = "class"
_TAKEN = ("label", "patient", "exam", "device", "split", "caption", "terms", "extra")


@dataclass(frozen=True)
class Labels:
    """What is known of files by their path below a folder.

    Attributes:
        levels: label level to its classes.
        labels: file to level to class.
        columns: file to any other columns.
        left_out: rows about files that are not there.
    """

    levels: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def of(self, file: str) -> tuple[dict[str, str], dict[str, str]]:
        """The labels and the other columns of one file; empty where nothing is known."""
        return self.labels.get(file, {}), self.columns.get(file, {})


def read_labels(options: ImportOptions, files: Collection[str]) -> Labels:
    """The labels that `options.labels` names.

    Args:
        options: `labels` is "folders" or the path of a CSV, whose columns `columns` maps.
        files: paths of the files with / between folders.

    Raises:
        DataError: if the CSV or a column of it cannot be used, or two rows are about one file.
    """
    if options.labels is None or options.labels == BY_FOLDERS:
        if options.columns:
            raise DataError(
                "--map maps columns of the CSV that --labels names; name one, or leave --map out."
            )
        return Labels() if options.labels is None else _by_folders(files)
    return _by_table(Path(options.labels), options, files)


def _by_folders(files: Collection[str]) -> Labels:
    labels = {
        file: {_FOLDER_LEVEL: PurePosixPath(file).parts[0]}
        for file in files
        if len(PurePosixPath(file).parts) > 1
    }
    if not labels:
        raise DataError("--labels folders needs files in folders named after classes, but no file is in one.")
    classes = {label[_FOLDER_LEVEL] for label in labels.values()}
    return Labels({_FOLDER_LEVEL: sorted(classes, key=reading_order)}, labels)


def _by_table(source: Path, options: ImportOptions, files: Collection[str]) -> Labels:
    rows = read_rows(source, options.columns)
    known = Labels(label_levels(rows))
    first: dict[str, int] = {}
    there = set(files)
    for number, row in enumerate(rows, start=1):
        where = f"{source}, row {number}"
        file = row.get("image", "")
        if first.setdefault(file, number) != number:
            raise DataError(f"{source}: rows {first[file]} and {number} are both about '{file}'.")
        if file not in there:
            known.left_out.append(LeftOut(where, f"{where} is about '{file}', which is not there."))
            continue
        known.labels[file] = members(row, "label")
        known.columns[file] = _others(row, where)
    return known


def _others(row: Row, where: str) -> dict[str, str]:
    others = {name: cell for name, cell in row.items() if family_of(name) not in ("image", "label")}
    for name in others:
        if family_of(name) not in _TAKEN:
            raise DataError(f"{where}: a CSV of labels may say {listed(_TAKEN)}, but not '{name}'.")
    return others

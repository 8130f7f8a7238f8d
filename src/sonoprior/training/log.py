"""The log of a run: one CSV row an epoch, the same numbers for TensorBoard, and what they mean in words."""

import csv
import io
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from sonoprior.core.folder import write_text

LOG, NOTES, BOARD = "log.csv", "notes.txt", "tensorboard"
Row = dict[str, float]


class TrainingWarning(UserWarning):
    """A run goes on, but part of it learns nothing."""


class Log:
    """Writes rows to `log.csv` and `tensorboard/` of a run folder, and notes on them to `notes.txt`.

    The rows of a checkpoint are written again when a run is resumed, so that an epoch which was logged
    but not kept does not stand there twice.

    Args:
        folder: the run folder.
        rows: the epochs that are already finished.
        before: what is wrong with what is trained on, a sentence each; said like that of an epoch.
    """

    def __init__(self, folder: Path, rows: list[Row], before: Sequence[str] = ()) -> None:
        self._csv = folder / LOG
        self._before = list(before)
        self._rows = list(rows)
        shutil.rmtree(folder / BOARD, ignore_errors=True)
        self._board = SummaryWriter(str(folder / BOARD))
        for row in rows:
            self._to_board(row)
        self._say(self._before)

    def add(self, row: Row) -> None:
        """Write one more epoch; what is wrong with it is said, in `notes.txt` and as a `TrainingWarning`."""
        self._rows.append(row)
        self._to_board(row)
        write_text(self._csv, as_csv(self._rows))
        self._say(notes_on(row))

    def close(self) -> None:
        """Finish the TensorBoard file."""
        self._board.close()

    def _say(self, notes: Sequence[str]) -> None:
        for note in notes:
            warnings.warn(TrainingWarning(note), stacklevel=3)
        if said := [*self._before, *(note for row in self._rows for note in notes_on(row))]:
            write_text(self._csv.with_name(NOTES), "\n".join(said) + "\n")

    def _to_board(self, row: Row) -> None:
        for name, value in row.items():
            if name != "epoch":
                self._board.add_scalar(name.replace(".", "/", 1), value, int(row["epoch"]))
        self._board.flush()


def notes_on(row: Row) -> list[str]:
    """What is wrong with an epoch, a sentence each.

    >>> notes_on({"epoch": 2, "train.fixmatch.pseudo_label_rate": 0.0})
    ['epoch 2: fixmatch learnt nothing, because no pseudo-label reached its threshold.']
    """
    silent = [name for name, value in row.items() if name.endswith(".pseudo_label_rate") and value == 0]
    return [
        f"epoch {int(row['epoch'])}: {name.split('.')[1]} learnt nothing, because no pseudo-label reached its"
        " threshold."
        for name in silent
    ]


def as_csv(rows: list[Row]) -> str:
    """Rows as CSV text; an epoch of a version that measured less has empty cells."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

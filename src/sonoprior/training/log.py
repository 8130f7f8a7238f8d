"""The log of a run: one CSV row an epoch, and the same numbers for TensorBoard."""

import csv
import io
import shutil
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from sonoprior.core.folder import write_text

Row = dict[str, float]


class Log:
    """Writes rows to `log.csv` and `tensorboard/` of a run folder.

    The rows of a checkpoint are written again when a run is resumed, so that an epoch which was logged
    but not kept does not stand there twice.

    Args:
        folder: the run folder.
        rows: the epochs that are already finished.
    """

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self._csv = folder / "log.csv"
        self._rows = list(rows)
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        self._board = SummaryWriter(str(folder / "tensorboard"))
        for row in rows:
            self._to_board(row)

    def add(self, row: Row) -> None:
        """Write one more epoch."""
        self._rows.append(row)
        self._to_board(row)
        write_text(self._csv, as_csv(self._rows))

    def close(self) -> None:
        """Finish the TensorBoard file."""
        self._board.close()

    def _to_board(self, row: Row) -> None:
        for name, value in row.items():
            if name != "epoch":
                self._board.add_scalar(name.replace(".", "/", 1), value, int(row["epoch"]))
        self._board.flush()


def as_csv(rows: list[Row]) -> str:
    """Rows of the same keys as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

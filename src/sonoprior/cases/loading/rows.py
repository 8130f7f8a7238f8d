"""Writing a large .npy file row by row, in bounded memory and with ordinary writes."""

import os
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class RowWriter:
    """Appends arrays of one shape to a .npy file; the number of rows is filled in at the end.

    Never through a memory map: on a full disk that kills the process, where a write raises `OSError`.

    Args:
        path: the file.
        shape: of one row.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._path, self._shape, self.count = path, shape, 0

    def __enter__(self) -> "RowWriter":
        self._file = self._path.open("wb")
        self._header()
        return self

    def append(self, row: NDArray[np.uint8]) -> None:
        """Write one row, uint8."""
        assert row.shape == self._shape
        self._file.write(row.tobytes())
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._file.seek(0)
                self._header()
                self._file.flush()
                os.fsync(self._file.fileno())

    def _header(self) -> None:
        # numpy pads the header so that a longer first axis fits into the same bytes.
        described = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)}
        npy.write_array_header_1_0(self._file, described)


def open_rows(path: Path) -> NDArray[np.uint8]:
    """The rows, memory-mapped to be read.

    Raises:
        ValueError: if the file is damaged. OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        npy.read_magic(file)
        shape, _, _ = npy.read_array_header_1_0(file)
    if shape[0] == 0:  # nothing to map, and an empty map is an error
        return np.zeros(shape, np.uint8)
    return np.load(path, mmap_mode="r", allow_pickle=False)

"""Small arrays of numbers in .npy files, never unpickled."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import DataError

_MOST_BYTES = 1_000_000


class PickledError(DataError):
    """A file could only be read by unpickling, which runs whatever program it names."""


def read_numbers(path: Path) -> NDArray[np.float64]:
    """The numbers of a .npy file, also where they are written as text.

    Raises:
        PickledError: if it could only be read by unpickling.
        DataError: if it is missing, too large, damaged, or holds no numbers.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing or is not a file.")
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(
            f"{path} must not be larger than {_MOST_BYTES:,} bytes, but has {path.stat().st_size:,}."
        )
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    except (ValueError, TypeError, EOFError, OSError) as error:
        if "allow_pickle" in str(error):
            raise PickledError(
                f"{path} must hold plain numbers, but holds Python objects; reading them would run whatever"
                " program they name, so save the file anew from an array of numbers."
            ) from error
        raise DataError(f"{path} is damaged or holds no numbers: {error}.") from error

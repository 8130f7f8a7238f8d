"""Frames of clips, read one by one, in order, from one open clip at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sonoprior.cases.images import Grey
from sonoprior.core.checks import at_least
from sonoprior.core.errors import DataError

from .findings import ImportOptions

MOST_FRAMES = 20_000
"""A clip of more is no clip of an exam, or its header is damaged."""


class Film(Protocol):
    """An open clip."""

    def frame(self, number: int) -> Grey:
        """One frame, counted from 0, as (H, W) uint8.

        Raises:
            DataError: if it cannot be decoded.
        """
        ...


class Reel:
    """Keeps the clip open that was asked for last.

    Args:
        opened: opens a clip.
    """

    def __init__(self, opened: Callable[[Path], Film]) -> None:
        self._opened = opened
        self._path: Path | None = None
        self._film: Film | None = None

    def film(self, path: Path) -> Film:
        """The open clip of a file.

        Raises:
            DataError: if it cannot be opened.
        """
        if self._film is None or self._path != path:
            self._film = None  # closed before the next one is opened
            self._film, self._path = self._opened(path), path
        return self._film


@dataclass(frozen=True)
class Frame:
    """One frame of a clip.

    Attributes:
        reel: shared by the frames of an import.
        path: of the clip.
        number: counted from 0.
    """

    reel: Reel
    path: Path
    number: int

    def read(self) -> Grey:
        """The frame, (H, W) uint8.

        Raises:
            DataError: if it cannot be decoded.
        """
        return self.reel.film(self.path).frame(self.number)

    def __str__(self) -> str:
        return f"{self.path}, frame {self.number}"


def chosen_frames(count: int, options: ImportOptions, path: Path) -> range:
    """The numbers of the frames to take of a clip.

    Raises:
        DataError: if `every` is below 1, or the clip has no frame or too many.
    """
    step = at_least("--every", 1 if options.every is None else options.every, 1, DataError)
    if not 1 <= count <= MOST_FRAMES:
        raise DataError(f"{path} must have between 1 and {MOST_FRAMES:,} frames, but says it has {count:,}.")
    return range(0, count, step)

"""Images and priors decoded once into memory-mapped arrays, at one and a half times the training size."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.priors import PriorSpec, prior_names
from sonoprior.core.checks import at_least
from sonoprior.core.errors import DataError, FolderError, RecipeError
from sonoprior.core.folder import require, stamp, whole_folder

from .letterbox import cache_side
from .rows import RowWriter, open_rows
from .source import Source

KIND, FORMAT = "cache", 1


@dataclass(frozen=True, eq=False)
class Cache:
    """The pixels of a case set, ready to be moved, S = ceil(1.5 size).

    Attributes:
        case_set: where the pixels come from, with its labels.
        size: the side of the images that the network will see.
        spec: how the priors were made; None for none.
        priors: the names of the P prior maps.
        images: uint8 (N, S, S), each image whole and centred on black.
        maps: uint8 (M, P, s, s), 255 for 1, only for the M cases with any prior present; s is S, or the share
            of it that the priors' `resolution` says.
        row: int32 (N,), the row of `maps` that belongs to a case, -1 for none.
        present: bool (N, P).
    """

    case_set: CaseSet
    size: int
    spec: PriorSpec | None
    priors: list[str]
    images: NDArray[np.uint8]
    maps: NDArray[np.uint8]
    row: NDArray[np.int32]
    present: NDArray[np.bool_]

    @classmethod
    def build(
        cls, case_set: CaseSet, folder: Path, *, size: int, priors: PriorSpec | None, seed: int = 0
    ) -> "Cache":
        """Open the cache of these contents and settings in `folder`, after writing it if need be.

        A folder holds the caches of many settings, each under its key. Two processes may build the same
        one at once: the first to finish wins, and the other uses it. A damaged cache is written anew.

        Args:
            case_set: what to decode.
            folder: where caches are kept.
            size: the side of the images that the network will see, in pixels, at least 16.
            priors: how to make prior maps; None for none.
            seed: of the positional noise of the priors; it changes nothing where there is none.

        Raises:
            DataError: if an image or a prior cannot be read, or there are no cases.
            FolderError: if the cache cannot be written; nothing is left behind.
            RecipeError: if `size` is too small.
        """
        at_least("size", size, 16, RecipeError)
        if len(case_set) == 0:
            raise DataError(f"{case_set.root} has no cases to load.")
        names = [] if priors is None else prior_names(case_set, priors)
        source = Source(case_set, cache_side(size), priors, len(names), seed)
        target = folder / source.key(FORMAT)
        if target.exists():
            require(target, KIND, FORMAT)
            if not _complete(target, source):
                _remove(target)
        if not target.exists():
            _write(target, source)
        return cls(case_set, size, priors, names, *_arrays(target, source))

    @property
    def groups(self) -> dict[str, list[str]]:
        """For each prior the zones, landmarks or maps that it unites; itself, where it is not a group."""
        grouping = {} if self.spec is None else self.spec.grouping
        if isinstance(grouping, str):
            grouping = self.case_set.info.groupings.get(grouping, {})
        return {name: grouping.get(name, [name]) for name in self.priors}


def _write(target: Path, source: Source) -> None:
    try:
        with whole_folder(target) as building:
            _write_arrays(building, source)
            stamp(building, KIND, FORMAT)
    except FolderError:
        if not _complete(target, source):  # else another process has just finished the same cache
            raise


def _remove(target: Path) -> None:
    try:
        shutil.rmtree(target)
    except OSError as error:
        raise FolderError(f"cannot remove the damaged cache {target}: {error.strerror or error}.") from error


def _write_arrays(folder: Path, source: Source) -> None:
    rows, present = [], []
    with (
        RowWriter(folder / "images.npy", (source.side, source.side)) as images,
        RowWriter(folder / "maps.npy", (source.priors, source.map_side, source.map_side)) as maps,
    ):
        for pixels in source.decoded():
            images.append(pixels.image)
            rows.append(-1 if pixels.maps is None else maps.count)
            present.append(pixels.present)
            if pixels.maps is not None:
                maps.append(pixels.maps)
    np.save(folder / "row.npy", np.array(rows, np.int32), allow_pickle=False)
    np.save(folder / "present.npy", np.stack(present), allow_pickle=False)


class Arrays(NamedTuple):
    """The arrays of a cache, as in `Cache`."""

    images: NDArray[np.uint8]
    maps: NDArray[np.uint8]
    row: NDArray[np.int32]
    present: NDArray[np.bool_]


def _arrays(target: Path, source: Source) -> Arrays:
    try:
        arrays = Arrays(
            open_rows(target / "images.npy"),
            open_rows(target / "maps.npy"),
            np.load(target / "row.npy", allow_pickle=False),
            np.load(target / "present.npy", allow_pickle=False),
        )
    except (OSError, ValueError, EOFError) as error:
        raise FolderError(f"the cache {target} is damaged ({error}); remove it.") from error
    if not _fits(arrays, source):
        raise FolderError(f"the cache {target} is damaged (its arrays do not fit together); remove it.")
    return arrays


def _fits(arrays: Arrays, source: Source) -> bool:
    square, cases = (source.side, source.side), len(source.case_set)
    stored = arrays.row[arrays.row >= 0]
    return (
        arrays.images.shape == (cases, *square)
        and arrays.maps.shape == (len(stored), source.priors, source.map_side, source.map_side)
        and arrays.row.shape == (cases,)
        and arrays.present.shape == (cases, source.priors)
        and np.array_equal(stored, np.arange(len(stored)))
        and np.array_equal(arrays.row >= 0, arrays.present.any(axis=1))
    )


def _complete(target: Path, source: Source) -> bool:
    try:
        _arrays(target, source)
    except FolderError:
        return False
    return True

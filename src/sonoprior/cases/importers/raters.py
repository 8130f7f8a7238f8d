"""Outlines of one image by several raters: kept apart, united, or averaged.

A rater who drew nothing is absent and has no say; one who drew an empty outline says that nothing is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.images import Grey, Mask, read_mask
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError

from .findings import Drawing, ImportOptions, Shading, Shape

WAYS = ("apart", "united", "averaged")

ByRater: TypeAlias = Mapping[str, Mapping[str, Sequence[Path]]]
"""Zone to rater to the files whose union that rater outlined; no file means drawn and empty."""


@dataclass(frozen=True)
class Raters:
    """What becomes of several raters' outlines.

    Attributes:
        way: "apart" makes a zone of each rater, "united" the union of what any of them outlined, "averaged"
            a heat map with the share of the raters who outlined a pixel.
        threshold: with "averaged", the share of the raters from which on a pixel also belongs to an outline
            of the zone; None for no outline.
    """

    way: str
    threshold: float | None = None

    def zones(self, raters: Mapping[str, Sequence[str]]) -> list[str]:
        """The zones of a case set in which these raters outlined these zones."""
        if self.way == "united" or self.threshold is not None:
            return list(raters)
        if self.way == "averaged":
            return []
        return [_by(zone, rater) for zone, names in raters.items() for rater in names]

    def groupings(self, raters: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
        """Raters who are kept apart can be brought together by zone, and zones by rater."""
        if self.way != "apart":
            return {}
        by_zone = {zone: [_by(zone, rater) for rater in names] for zone, names in raters.items()}
        everybody = dict.fromkeys(rater for names in raters.values() for rater in names)
        by_rater = {
            rater: [_by(zone, rater) for zone, names in raters.items() if rater in names]
            for rater in everybody
        }
        return {"zones": by_zone, "raters": by_rater}

    def outlines(self, drawn: ByRater) -> dict[str, Sequence[Path] | Drawing]:
        """The outlines of one image."""
        if self.way == "apart":
            return {_by(zone, rater): paths for zone, by in drawn.items() for rater, paths in by.items()}
        if self.way == "united":
            return {zone: [path for paths in by.values() for path in paths] for zone, by in drawn.items()}
        if self.threshold is None:
            return {}
        return {zone: _Agreed(tuple(by.values()), self.threshold) for zone, by in drawn.items()}

    def maps(self, drawn: ByRater) -> dict[str, Path | Shading]:
        """The heat maps of one image."""
        if self.way != "averaged":
            return {}
        return {zone: _Averaged(tuple(by.values())) for zone, by in drawn.items()}


def raters_of(options: ImportOptions) -> Raters | None:
    """What the person who imports wants of several raters; None where that was not said.

    Raises:
        DataError: if it is no known way, or a threshold is out of range or has nothing to cut.
    """
    if options.threshold is not None and options.raters != "averaged":
        raise DataError("--threshold cuts what --raters averaged makes; leave it out, or average.")
    if options.raters is None:
        return None
    if options.threshold is not None and not 0 < options.threshold <= 1:
        raise DataError(f"--threshold must be a share above 0 and up to 1, but got {options.threshold}.")
    return Raters(one_of("--raters", options.raters, WAYS, DataError), options.threshold)


def _by(zone: str, rater: str) -> str:
    return f"{zone} by {rater}"


@dataclass(frozen=True)
class _Averaged:
    """The share of raters who outlined a pixel, 0 black to 1 white."""

    drawn: tuple[Sequence[Path], ...]

    def __call__(self, shape: Shape) -> Grey:
        return np.rint(_share(self.drawn, shape) * 255).astype(np.uint8)


@dataclass(frozen=True)
class _Agreed:
    """Where at least a share of the raters outlined."""

    drawn: tuple[Sequence[Path], ...]
    threshold: float

    def __call__(self, shape: Shape) -> Mask:
        return _share(self.drawn, shape) >= self.threshold


def _share(drawn: Sequence[Sequence[Path]], shape: Shape) -> NDArray[np.float64]:
    masks = [_united(paths, shape) for paths in drawn]
    return np.mean(masks, axis=0)


def _united(paths: Sequence[Path], shape: Shape) -> Mask:
    united = np.zeros(shape, dtype=bool)
    for path in paths:
        united |= read_mask(path, shape)
    return united

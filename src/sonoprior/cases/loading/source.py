"""What a cache is made of: each case decoded and fitted into its square."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.priors import PriorSpec, prior_maps
from sonoprior.core.progress import bar

from .letterbox import letterbox

_AHEAD = 16  # cases decoded ahead of the writing, for each thread: what bounds the memory


class Pixels(NamedTuple):
    """One case, decoded: image (S, S), maps (P, s, s) or None, present (P,)."""

    image: NDArray[np.uint8]
    maps: NDArray[np.uint8] | None
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """The case set and the settings of a cache.

    Attributes:
        case_set: what to decode.
        side: of an image's square.
        spec: how to make the priors; None for none.
        priors: how many prior maps that makes.
        seed: of the priors' error of position.
    """

    case_set: CaseSet
    side: int
    spec: PriorSpec | None
    priors: int
    seed: int

    def key(self, format_version: int) -> str:
        """A name for these contents and settings; the seed counts only where something is drawn.

        A control is made of the real priors when they are read, so that both share a cache.
        """
        spec = None if self.spec is None else self.spec.model_dump(mode="json", exclude={"control"})
        seed = self.seed if self.spec is not None and self.spec.noise > 0 else 0
        settings = [format_version, self.case_set.fingerprint(), self.side, spec, seed]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

    @property
    def map_side(self) -> int:
        """Of a prior map's square."""
        return self.side if self.spec is None else max(1, round(self.side * self.spec.resolution))

    def decode(self, case: int) -> Pixels:
        """One case, fitted into the square."""
        image = letterbox(self.case_set.read_image(case), self.side)
        if self.spec is None:
            return Pixels(image, None, np.zeros(0, bool))
        maps, present = prior_maps(self.case_set, case, self.spec, self.seed)
        if not present.any():
            return Pixels(image, None, present)
        squares = np.stack([letterbox(map_, self.map_side) for map_ in maps])
        return Pixels(image, np.rint(squares * 255).astype(np.uint8), present)

    def decoded(self) -> Iterator[Pixels]:
        """All cases in order, decoded by all cores, in portions so that few are held at once."""
        threads, cases = os.cpu_count() or 1, len(self.case_set)
        portion = threads * _AHEAD
        with ThreadPoolExecutor(threads) as pool, bar("Caching images", cases) as tick:
            for start in range(0, cases, portion):
                for pixels in pool.map(self.decode, range(start, min(start + portion, cases))):
                    yield pixels
                    tick()

"""What finds the nearest cases, by one setting: every case compared, or a graph that leads to them."""

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sonoprior.metrics.neighbours import Neighbours

from .exact import Exact
from .store import Floats, Places, Vectors

Setting = Literal["auto", "exact", "hnsw"]
SETTINGS: tuple[Setting, ...] = ("auto", "exact", "hnsw")
MOST_EXACT = 1_000_000
"""Up to so many cases "auto" compares every one."""


class Index(Protocol):
    """The nearest among cases."""

    def nearest(
        self,
        queries: Floats,
        k: int,
        leave_out: Places | None = None,
        among: NDArray[np.bool_] | None = None,
    ) -> Neighbours:
        """The k nearest of each query by cosine, or as many as there are.

        Args:
            queries: (q, D) of length 1.
            k: how many.
            leave_out: (q,) the group whose cases each query must not find, see `number_of`; -1 for none.
            among: (n,) which cases may be found; None for all.

        Returns:
            positions (q, k) in the vectors, -1 where there are fewer, and cosines.
        """
        ...


def index_of(vectors: Vectors, setting: Setting, folder: Path) -> Index:
    """The index of these vectors.

    Args:
        vectors: all cases.
        setting: "exact", "hnsw", or "auto", which is exact up to `MOST_EXACT` cases.
        folder: where a graph is kept.

    Raises:
        MissingExtraError: if a graph is asked for, and faiss is not installed.
    """
    if setting == "exact" or (setting == "auto" and len(vectors.ids) <= MOST_EXACT):
        return Exact(vectors.matrix, vectors.groups)
    from .hnsw import Hnsw

    return Hnsw.kept(vectors, folder)

"""All cases of a base at one moment, and the nearest among them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .bundles import Bundle
from .index import Index, Setting, index_of
from .store import Floats, Places, Vectors


@dataclass(frozen=True)
class Loaded:
    """All cases at one moment, with what belongs to them.

    Attributes:
        vectors: the cases.
        setting: of the index.
        folder: where a graph is kept.
        bundle: of the vectors' space.
    """

    vectors: Vectors
    setting: Setting
    folder: Path
    bundle: Bundle

    @cached_property
    def index(self) -> Index:
        """What finds the nearest."""
        return index_of(self.vectors, self.setting, self.folder)

    def nearest(
        self, queries: Floats, k: int, leave_out: Places | None, among: Places | None
    ) -> tuple[Places, Floats]:
        """See `CaseBase.nearest`."""
        may = None if among is None else _marked(self.vectors.ids, among)
        found = self.index.nearest(queries, k, leave_out, may)
        return self._ids_and_nobody[found.index], found.similarity

    @cached_property
    def _ids_and_nobody(self) -> Places:
        """What a place in the vectors stands for; the last, which -1 means, for nobody."""
        return np.append(self.vectors.ids, -1)


def _marked(ids: Places, among: Places) -> NDArray[np.bool_]:
    """Which of the ids, ascending, are among the others."""
    marked = np.zeros(len(ids) + 1, np.bool_)
    places = np.searchsorted(ids, among)
    marked[places[np.append(ids, -1)[places] == among]] = True
    return marked[:-1]

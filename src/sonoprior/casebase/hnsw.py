"""The nearest cases by a graph in which each case is linked with near ones, for more than a million.

Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using hierarchical navigable
small world graphs, IEEE TPAMI 42(4), 2020; in faiss, with 32 links a case. It may miss some of the nearest:
`docs/results/search.md` says how many.
"""

from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.errors import FolderError, MissingExtraError
from sonoprior.core.folder import read_json, whole_file, write_json
from sonoprior.core.progress import bar
from sonoprior.metrics.neighbours import Neighbours

from .exact import Exact
from .store import Floats, Places, Vectors

Bools = NDArray[np.bool_]

LINKS, WHILE_BUILDING, WHILE_SEARCHING = 32, 200, 192
_FILE, _ABOUT = "graph.faiss", "graph.json"
# Where fewer than one case in so many may be found, the graph would mostly lead to others.
_FEW = 16
_AT_ONCE = 10_000


class Hnsw:
    """An `Index` by a graph.

    Args:
        vectors: all cases.
        graph: of faiss, with the same cases in the same order.
    """

    def __init__(self, vectors: Vectors, graph: Any) -> None:
        self._exact = Exact(vectors.matrix, vectors.groups)
        self._graph = graph
        self._groups = vectors.groups
        self._by_group = np.argsort(vectors.groups, kind="stable")
        self._sorted = vectors.groups[self._by_group]

    @staticmethod
    def kept(vectors: Vectors, folder: Path) -> "Hnsw":
        """The graph that is kept in a folder, brought up to date and kept again if need be.

        Cases that came are added to it; where others are gone it is built anew, since faiss cannot unlink.

        Raises:
            FolderError: if it cannot be written.
            MissingExtraError: if faiss is not installed.
        """
        graph = _read(vectors, folder)
        known = graph.ntotal if graph is not None else 0
        if graph is None:
            faiss = _faiss()
            graph = faiss.IndexHNSWFlat(vectors.matrix.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
            graph.hnsw.efConstruction = WHILE_BUILDING
        if known < len(vectors.ids):
            _link(graph, vectors.matrix[known:])
            _write(graph, vectors, folder)
        return Hnsw(vectors, graph)

    def nearest(
        self, queries: Floats, k: int, leave_out: Places | None = None, among: Bools | None = None
    ) -> Neighbours:
        """See `Index.nearest`."""
        allowed = len(self._groups) if among is None else int(among.sum())
        if not len(queries) or allowed * _FEW < len(self._groups) or k * _FEW > allowed:
            return self._exact.nearest(queries, k, leave_out, among)
        # The rarer what may be found, the more of the graph must be looked at for as many of it.
        wide = max(WHILE_SEARCHING, 2 * k) * len(self._groups) // allowed
        if leave_out is None:
            leave_out = np.full(len(queries), -1)
        if among is None and (leave_out < 0).all():
            return self._searched(queries, k, wide, None)
        found = [
            self._one(query[None], k, wide, int(group), among)
            for query, group in zip(queries, leave_out, strict=True)
        ]
        return Neighbours(
            np.concatenate([each.index for each in found]),
            np.concatenate([each.similarity for each in found]),
        )

    def _one(self, query: Floats, k: int, wide: int, group: int, among: Bools | None) -> Neighbours:
        own = self._of_group(group)
        found = self._searched(query, k, wide, _selector(own, among))
        if (found.index < 0).any():  # the graph led to too few; there may be more
            return self._exact.nearest(query, k, np.array([group]), among)
        return found

    def _of_group(self, group: int) -> Places:
        """The positions of a group's cases; none of group -1."""
        first, last = np.searchsorted(self._sorted, [group, group + 1])
        return self._by_group[first:last]

    def _searched(self, queries: Floats, k: int, wide: int, selector: Any) -> Neighbours:
        parameters = _faiss().SearchParametersHNSW(efSearch=wide, sel=selector)
        values, index = self._graph.search(np.ascontiguousarray(queries), k, params=parameters)
        return Neighbours(index, np.where(index < 0, -np.inf, values).astype(np.float32))


def _selector(own: Places, among: Bools | None) -> Any:
    """What faiss may find: all among them but the own."""
    faiss = _faiss()
    if among is None:
        return faiss.IDSelectorNot(faiss.IDSelectorBatch(own)) if len(own) else None
    left = among.copy()
    left[own] = False
    return faiss.IDSelectorBitmap(np.packbits(left, bitorder="little"))


def _link(graph: Any, matrix: Floats) -> None:
    with bar("linking cases to their nearest", len(matrix)) as tick:
        for start in range(0, len(matrix), _AT_ONCE):
            part = matrix[start : start + _AT_ONCE]
            graph.add(part)
            tick(len(part))


def _about(vectors: Vectors, count: int) -> dict[str, Any]:
    """Of which cases a graph is: an embedding never changes within its space."""
    ids = sha256(vectors.ids[:count].astype("<i8").tobytes()).hexdigest()
    return {"format": 1, "space": vectors.space.id, "cases": count, "ids": ids}


def _write(graph: Any, vectors: Vectors, folder: Path) -> None:
    with whole_file(folder / _FILE) as temporary:
        _faiss().write_index(graph, str(temporary))
        digest = _digest(temporary)
    write_json(folder / _ABOUT, _about(vectors, len(vectors.ids)) | {"graph": digest})


def _read(vectors: Vectors, folder: Path) -> Any:
    """The graph in the folder; None if there is none, or it is not the one we wrote of the first cases."""
    if not (folder / _FILE).is_file() or not (folder / _ABOUT).is_file():
        return None
    try:
        said = read_json(folder / _ABOUT)
        count, digest = int(said.pop("cases")), said.pop("graph")
    except (FolderError, AttributeError, KeyError, TypeError, ValueError):
        return None
    if count > len(vectors.ids) or said | {"cases": count} != _about(vectors, count):
        return None
    if digest != _digest(folder / _FILE):
        return None
    return _faiss().read_index(str(folder / _FILE))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError(
            "the index 'hnsw' needs faiss: pip install 'sonoprior[faiss]', or choose 'exact'."
        ) from error
    return faiss

"""Ranking: the cases nearest to an embedding, and the exams whose frames are nearest to several.

The similarity of a query's frames and an exam is the mean over the query's frames of the best in the exam:
one half of the best-match average of two sets (Azuaje, Wang and Bodenreider, ISMB Bio-ontologies 2005;
as "MaxSim" of Khattab and Zaharia, ColBERT, SIGIR 2020). The other half, from the exam's frames to
the query's, is left out: an exam is no worse an answer for holding views that the query does not show.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.metrics.neighbours import best

from .rerank import reranked
from .store import Vectors

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Places = NDArray[np.int64]


class Exams:
    """Which rows of a matrix of cases are of which exam; a case without an exam is one by itself.

    Args:
        exams: (n,) numbers that agree where two cases are of one exam; -1 where unknown.
    """

    def __init__(self, exams: Places) -> None:
        numbers = np.where(exams < 0, -1 - np.arange(len(exams)), exams)
        self._order = np.argsort(numbers, kind="stable")
        self._starts = np.unique(numbers[self._order], return_index=True)[1]

    def __len__(self) -> int:
        return len(self._starts)

    def best(self, near: Floats) -> Floats:
        """The best similarity of the frames of each of e exams, from (n,) to (e,)."""
        return np.maximum.reduceat(near[self._order], self._starts)

    def rows(self, exam: int) -> Places:
        """The rows of one of the e exams, ascending."""
        end = self._starts[exam + 1] if exam + 1 < len(self) else len(self._order)
        return self._order[self._starts[exam] : end]


@dataclass(frozen=True)
class Ranked:
    """One case, or the frames of one exam.

    Attributes:
        ids: of the case; or of the exam's frame that is most like each frame of the query.
        similarities: of these.
        similarity: of the case, or of the exam.
        score: the same of re-ranked similarities; None without re-ranking.
    """

    ids: Sequence[int]
    similarities: Sequence[float]
    similarity: float
    score: float | None


class Ranking:
    """The candidates of a search.

    Args:
        vectors: all n cases.
        may: (n,) which of them may be found.
        over_bank: (n,) the best similarity of each to a bank of queries; None to rank by similarity alone.
    """

    def __init__(self, vectors: Vectors, may: Bools, over_bank: Floats | None = None) -> None:
        self._vectors, self._may, self._over_bank = vectors, may, over_bank

    def cases(self, query: Floats, k: int) -> list[Ranked]:
        """The k best cases for an embedding (D,), the best first; fewer where fewer may be found."""
        near = self._near(query, slice(None))
        scores = self._scores(near, slice(None))
        rows = best(scores[None], k)[0][0]
        return [self._case(row, float(near[row]), float(scores[row])) for row in rows[rows >= 0].tolist()]

    def exams(self, queries: Floats, exams: Exams, k: int) -> list[Ranked]:
        """The k best exams for embeddings (q, D), the best first; fewer where fewer may be found."""
        total = np.zeros(len(exams), np.float32)
        for query in queries:
            total += exams.best(self._scores(self._near(query, slice(None)), slice(None))) / len(queries)
        found, scores = best(total[None], k)
        return [
            self._exam(queries, exams.rows(exam), float(score))
            for exam, score in zip(found[0].tolist(), scores[0], strict=True)
            if exam >= 0
        ]

    def _case(self, row: int, similarity: float, score: float) -> Ranked:
        return Ranked([int(self._vectors.ids[row])], [similarity], similarity, self._said(score))

    def _exam(self, queries: Floats, rows: Places, score: float) -> Ranked:
        near = np.stack([self._near(query, rows) for query in queries])  # q frames, r rows
        chosen = self._scores(near, rows).argmax(axis=1)
        similarities = np.take_along_axis(near, chosen[:, None], axis=1)[:, 0]
        similarity = float(near.max(axis=1).mean())
        return Ranked(
            self._vectors.ids[rows[chosen]].tolist(), similarities.tolist(), similarity, self._said(score)
        )

    def _near(self, query: Floats, rows: Places | slice) -> Floats:
        near = self._vectors.matrix[rows] @ query
        near[~self._may[rows]] = -np.inf
        return near

    def _scores(self, near: Floats, rows: Places | slice) -> Floats:
        return near if self._over_bank is None else reranked(near, self._over_bank[rows])

    def _said(self, score: float) -> float | None:
        return None if self._over_bank is None else score

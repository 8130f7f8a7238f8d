"""Search: known cases that are like images, an exam or a text, that show a term, or both.

An image beside a term that is a view is a correction, "like this, but right adnexa"; see `correction`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import at_least, listed, nearest
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

from .asking import Asked, Shown, asked_of
from .correction import corrected
from .query import Query
from .ranking import Exams, Ranked, Ranking
from .record import Record
from .rerank import BANK, best_over_bank
from .store import Vectors
from .terms import Terms

if TYPE_CHECKING:
    from .base import CaseBase

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """A case that was found.

    Attributes:
        record: the case.
        similarity: the cosine of its embedding and the query's; where only terms and filters are asked for,
            of its embedding and the mean of those that were found; of a correction, of its embedding and the
            moved one of the query.
        distance: how far its view lies in the ontology from the view of what it is like, in [0, 1]; None
            where either has no term.
        like: which of the things asked with, by position.
    """

    record: Record
    similarity: float
    distance: float | None
    like: int = 0


@dataclass(frozen=True)
class Hit:
    """A case that was found, or an exam with its frame for each frame of the query.

    Attributes:
        name: the key of the case; the exam, or where the exam of a case is unknown its key.
        similarity: of the case; of an exam the mean over the query's frames of the best of its frames.
        score: the same of re-ranked similarities, by which hits are ordered then; None without re-ranking.
        frames: the case, or the exam's frame that is most like each frame of the query.
    """

    name: str
    similarity: float
    score: float | None
    frames: Sequence[Frame]

    @property
    def record(self) -> Record:
        """The case; of an exam its frame that is most like one of the query's."""
        return max(self.frames, key=lambda frame: frame.similarity).record


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        hits: the best first; fewer than asked for where fewer may be found.
        shown: what was asked with; empty where only terms and filters were.
        exams: whether hits are exams.
        corrected: whether they are of a correction.
        could: how many cases might have been found.
        left_out: how many were left out because they are of the query's own patient or exam.
    """

    hits: Sequence[Hit]
    shown: Sequence[Shown]
    exams: bool
    corrected: bool
    could: int
    left_out: int


class Searcher:
    """A base to be searched. What a search needs of all cases is kept until the base changes.

    Args:
        base: the base.
    """

    def __init__(self, base: "CaseBase") -> None:
        self.base = base
        self._banks: dict[str, tuple[int, Floats]] = {}

    def find(self, query: Query, k: int = 10, *, rerank: bool = False) -> Found:
        """The k nearest cases or exams of a query.

        Args:
            query: what is asked.
            k: how many; may be more than there are.
            rerank: order by re-ranked similarities, see `rerank.reranked`.

        Raises:
            DataError: if the base is empty, nothing passes the filters, k is below 1, or an image cannot be
                read.
            OntologyError: if there is no such term.
            ModelError: if the bundle cannot embed a text.
        """
        at_least("k", k, 1, DataError)
        vectors = self.base.vectors()
        if not len(vectors.ids):
            raise DataError(f"{self.base.folder} holds no case; add a case set first.")
        terms = Terms(self.base.manifest, self.base.ontology)
        may = self._passing(query, terms, vectors)
        asked = asked_of(self.base, query, vectors) if query.likens else _typical(vectors, may)
        own = may & np.isin(vectors.groups, [] if query.own else list(asked.groups))
        may &= ~own
        correction = self._correction(query, terms, asked, vectors, may)
        moved = asked if correction is None else replace(asked, vectors=correction)
        ranked = self._ranked(query, moved, vectors, may, k, rerank=rerank)
        hits = [self._hit(one, asked, terms, of_exam=query.of_exam) for one in ranked]
        is_corrected = correction is not None
        return Found(hits, asked.shown, query.of_exam, is_corrected, int(may.sum()), int(own.sum()))

    def _correction(
        self, query: Query, terms: Terms, asked: Asked, vectors: Vectors, may: Bools
    ) -> Floats | None:
        if query.term is None or query.text is not None or not query.likens:
            return None
        return corrected(self.base.store, terms, query.term, asked, vectors, may)

    def _ranked(
        self, query: Query, asked: Asked, vectors: Vectors, may: Bools, k: int, *, rerank: bool
    ) -> list[Ranked]:
        ranking = Ranking(vectors, may, self._over_bank(query, vectors) if rerank else None)
        if query.of_exam:
            return ranking.exams(asked.vectors, Exams(vectors.exams), k)
        if rerank:
            return ranking.cases(asked.vectors[0], k)
        plain = not query.where and query.term is None and len(asked.groups) == 1 and not query.own
        return self._nearest(asked.vectors, next(iter(asked.groups)) if plain else None, vectors.ids[may], k)

    def _nearest(self, query: Floats, own: int | None, among: Places, k: int) -> list[Ranked]:
        """By the index of the base, for which one group to leave out is less than all that may be found."""
        leave_out = None if own is None else np.array([own], np.int64)
        ids, near = self.base.nearest(query, k, leave_out=leave_out, among=among if own is None else None)
        return [
            Ranked([number], [similarity], similarity, None)
            for number, similarity in zip(ids[0].tolist(), near[0].tolist(), strict=True)
            if number >= 0
        ]

    def _passing(self, query: Query, terms: Terms, vectors: Vectors) -> Bools:
        """Which cases show the term and pass the filters, (n,)."""
        may = np.ones(len(vectors.ids), np.bool_)
        if query.where:
            may &= np.isin(vectors.ids, self.base.store.where(query.where))
        if query.term is not None:
            may &= np.isin(vectors.ids, terms.cases(self.base.store, query.term))
        if not may.any():
            raise DataError(self._nothing(query))
        return may

    def _nothing(self, query: Query) -> str:
        """Why no case passes: a value that no case has, or that none has them all at once."""
        known = self.base.store.facts()
        for name, texts in query.where.items():
            if not set(texts) & set(known[name]):
                return f"no case of the base has {name}={' or '.join(texts)}.{nearest(texts[0], known[name])}"
        wanted = [*(f"{name}={' or '.join(texts)}" for name, texts in query.where.items())]
        return f"no case of the base is all of: {listed([*wanted, *([query.term] if query.term else [])])}."

    def _over_bank(self, query: Query, vectors: Vectors) -> Floats:
        """The best similarity of each case over a bank of such queries, (n,); computed once a version."""
        kind = "texts" if query.text is not None else "cases"
        version, over_bank = self._banks.get(kind, (None, None))
        if over_bank is None or version != vectors.version:
            over_bank = self._over_texts(vectors) if kind == "texts" else over_cases(vectors)
            self._banks[kind] = (vectors.version, over_bank)
        return over_bank

    def _over_texts(self, vectors: Vectors) -> Floats:
        """The bank of a text search: captions of the base's cases."""
        records = self.base.store.records(vectors.ids[_drawn(len(vectors.ids))].tolist())
        captions = sorted({record.caption for record in records} - {""})
        if not captions:
            raise DataError(
                "re-ranking a search by text needs a bank of texts, but no case of the base has a caption;"
                " search without re-ranking."
            )
        return best_over_bank(vectors.matrix, self.base.recogniser.embed_text(captions))

    def _hit(self, ranked: Ranked, asked: Asked, terms: Terms, *, of_exam: bool) -> Hit:
        records = self.base.store.records(ranked.ids)
        likened: list[Shown | None] = [*asked.shown] or [None]
        frames = [
            Frame(record, similarity, to and terms.distance(to.facts, record.facts), like)
            for like, (record, similarity, to) in enumerate(
                zip(records, ranked.similarities, likened, strict=True)
            )
        ]
        name = (records[0].exam if of_exam else None) or records[0].key
        return Hit(name, ranked.similarity, ranked.score, frames)


def search(base: "CaseBase", query: Query, k: int = 10, *, rerank: bool = False) -> Found:
    """One search; see `Searcher.find`, which a program that searches again and again keeps."""
    return Searcher(base).find(query, k, rerank=rerank)


def over_cases(vectors: Vectors, seed: int = 0) -> Floats:
    """The best similarity of each case over a bank of the base's own cases of other groups, (n,)."""
    bank = _drawn(len(vectors.ids), seed)
    return best_over_bank(vectors.matrix, vectors.matrix[bank], vectors.groups, vectors.groups[bank])


def _drawn(cases: int, seed: int = 0) -> Places:
    """The rows of a bank, ascending: all where there are few."""
    return np.sort(generator(seed, "bank").permutation(cases)[:BANK])


def _typical(vectors: Vectors, may: Bools) -> Asked:
    """The mean of what passes, which is most like what is typical of it."""
    mean = vectors.matrix[may].mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(mean)
    return Asked((mean / length if length else mean).astype(np.float32)[None], [])

"""Retrieval: are the nearest cases of the same class, and where they are not, how wrong are they?

Each measure is a number a query, so that runs are compared query by query, and `bootstrap.Mean` gives means
and intervals (which draw queries anew; the gallery stays). A query that no case of the gallery could answer,
because its class has no other case outside the query's own groups, is NaN: left out of means, and counted.
The only case of a class is such a query.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.checks import at_least, listed
from sonoprior.core.errors import DataError

from .bootstrap import Mean
from .classes import checked_classes
from .neighbours import Embedded, best, similarities

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.int64]
Array = NDArray[Any]

RECALLS = (1, 2, 4, 8, 10)
R_PRECISION = "r_precision"
MAP_AT_R = "map@r"
_BEYOND_CLASSES = 1 << 32


@dataclass(frozen=True)
class Retrieval:
    """What q queries found.

    Attributes:
        values: by level and measure ("recall@1", "r_precision", "map@r"), (q,) a number a query.
        first: (q,) the position of the nearest case, -1 where there is none.
    """

    values: Mapping[str, Mapping[str, Floats]]
    first: Places

    def means(self) -> dict[str, dict[str, float]]:
        """The mean of each measure over the queries that could be answered, by level."""
        return {
            level: {name: Mean()(values) for name, values in measures.items()}
            for level, measures in self.values.items()
        }

    def answerable(self, level: str) -> Bools:
        """Which queries some case could answer at a level, (q,)."""
        return ~np.isnan(self.values[level][R_PRECISION])

    def unanswerable(self) -> dict[str, int]:
        """How many queries no case could answer, by level."""
        return {level: int((~self.answerable(level)).sum()) for level in self.values}


def retrieval(
    queries: Embedded,
    labels: Mapping[str, ArrayLike],
    gallery: Embedded | None = None,
    gallery_labels: Mapping[str, ArrayLike] | None = None,
    ks: Sequence[int] = RECALLS,
    distance: str = "cosine",
) -> Retrieval:
    """Recall@k, R-precision and MAP@R at every level; recall at a higher level is the thesis's meta-recall.

    Args:
        queries: q cases.
        labels: by level, the class (q,) of each query, or (q, C) bool for cases of several classes, as
            findings: these match where they share one.
        gallery: n cases to find; None: the queries themselves, each without itself.
        gallery_labels: their labels; needed with a gallery.
        ks: how many neighbours the recalls look at.
        distance: "cosine" or "euclidean".

    Raises:
        DataError: if there is no level, a label is unknown, or shapes do not fit; and as `similarities`.
        SonopriorError: if a k is below 1.
    """
    given = labels if gallery is None else gallery_labels or {}
    sizes = [len(np.asarray(cases.embeddings)) for cases in (queries, gallery or queries)]
    return retrieval_by(similarities(queries, gallery, distance), labels, given, sizes, ks)


def retrieval_by(
    blocks: Iterable[tuple[slice, NDArray[np.float32]]],
    labels: Mapping[str, ArrayLike],
    gallery_labels: Mapping[str, ArrayLike],
    sizes: Sequence[int],
    ks: Sequence[int] = RECALLS,
) -> Retrieval:
    """As `retrieval`, by similarities that are given, as those of a re-ranking.

    Args:
        blocks: some queries at a time, and their similarities (b, n); minus infinity for a pair left out.
        labels: of the q queries, by level.
        gallery_labels: of the n cases of the gallery, by level.
        sizes: q and n.
        ks: how many neighbours the recalls look at.
    """
    for k in ks:
        at_least("k of recall@k", k, 1)
    levels = _levels(labels, gallery_labels, sizes)
    parts: list[dict[str, dict[str, Floats]]] = []
    first: list[Places] = []
    for rows, block in blocks:
        matches = {level: classes.match(rows) & ~np.isneginf(block) for level, classes in levels.items()}
        depth = max(*ks, *(int(match.sum(axis=1).max()) for match in matches.values()))
        index, _ = best(block, depth)
        first.append(index[:, 0].copy())  # a view would keep every block alive
        parts.append({level: measured(match, index, ks) for level, match in matches.items()})
    values = {
        level: {name: np.concatenate([part[level][name] for part in parts]) for name in parts[0][level]}
        for level in levels
    }
    return Retrieval(values, np.concatenate(first))


def each_unlike_any(
    shared: Mapping[str, NDArray[np.int64] | Bools], after: int = 0
) -> dict[str, NDArray[np.int64] | Bools]:
    """Labels as given, but each unknown one, -1, is a class of its own, which nothing else is of.

    Args:
        shared: by level (n,), or (n, T) bool.
        after: how many such classes others have taken.
    """
    return {name: _unlike_any(of, after) if of.ndim == 1 else of for name, of in shared.items()}


def _unlike_any(labels: NDArray[Any], after: int) -> Places:
    return np.where(labels < 0, _BEYOND_CLASSES + after + np.arange(len(labels)), labels).astype(np.int64)


def measured(match: Bools, index: Places, ks: Sequence[int]) -> dict[str, Floats]:
    """Every measure of b queries.

    Args:
        match: (b, n) whether a case of the gallery answers the query.
        index: (b, depth) the nearest ones, -1 where there are none; deep enough for all that answer.
        ks: of the recalls.
    """
    hits = np.take_along_axis(match, index.clip(min=0), axis=1) & (index >= 0)
    answers = match.sum(axis=1)
    values = {f"recall@{k}": recall(hits, k) for k in ks}
    values |= {R_PRECISION: r_precision(hits, answers), MAP_AT_R: map_at_r(hits, answers)}
    return {name: np.where(answers > 0, value, np.nan) for name, value in values.items()}


def recall(hits: Bools, k: int) -> Floats:
    """1 where at least one of the k nearest is of the query's class (the thesis, section 3.5.1.3), (b,)."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def r_precision(hits: Bools, answers: Places) -> Floats:
    """The share of the R nearest that are of the query's class, with R the cases that are, (b,).

    Musgrave, Belongie and Lim, A metric learning reality check, ECCV 2020.
    """
    return np.count_nonzero(hits & _within(hits, answers), axis=1) / np.maximum(answers, 1)


def map_at_r(hits: Bools, answers: Places) -> Floats:
    """The precision at each of the R nearest that are of the query's class, summed and divided by R, (b,).

    Musgrave, Belongie and Lim, as above: R-precision that rewards the right ones for coming first.
    """
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    right = (hits & _within(hits, answers)).astype(np.float64)
    return np.einsum("bd,bd->b", precision, right) / np.maximum(answers, 1)  # b queries, d neighbours


def _within(hits: Bools, answers: Places) -> Bools:
    return np.arange(hits.shape[1]) < answers[:, None]


def how_wrong(
    found: Retrieval,
    level: str,
    labels: ArrayLike,
    distances: ArrayLike,
    gallery_labels: ArrayLike | None = None,
) -> Floats:
    """The distance in the ontology of the nearest case's class from the query's, where it is another, (q,).

    NaN where the nearest is of the query's class, so that the mean tells how wrong the wrong ones are; where
    there is none, or its class is unknown; and where no case could have answered, as in every other measure.

    Args:
        found: what q queries found.
        level: whose classes are compared.
        labels: (q,) the number of the class of each query.
        distances: (K, K) between classes, as 1 minus the similarity of their terms.
        gallery_labels: (n,) those of the gallery, -1 where unknown; those of the queries if None.

    Raises:
        DataError: if a label is none of the classes, or shapes do not fit.
    """
    between = np.asarray(distances, dtype=np.float64)
    if between.ndim != 2 or between.shape[0] != between.shape[1]:
        raise DataError(f"distances of K classes must have shape (K, K), but got {between.shape}.")
    asked = _numbers(labels, len(between), least=0)
    given = asked if gallery_labels is None else _numbers(gallery_labels, len(between), least=-1)
    if len(asked) != len(found.first):
        raise DataError(
            f"there must be a label for each of {len(found.first)} queries, but got {len(asked)}."
        )
    nearest = given[found.first]
    told = found.answerable(level) & (found.first >= 0) & (nearest >= 0) & (nearest != asked)
    return np.where(told, between[asked, nearest], np.nan)


def _numbers(labels: ArrayLike, classes: int, least: int) -> Places:
    numbers = np.asarray(labels, dtype=np.int64)
    wrong = (numbers < least) | (numbers >= classes)
    if wrong.any():
        raise DataError(
            f"labels must be numbers of {classes} classes, from {least} to {classes - 1}, but got"
            f" {numbers[wrong][0]}."
        )
    return numbers


@dataclass(frozen=True)
class _Classes:
    """The classes of queries and gallery at one level: numbers (q,) and (n,), or bool (q, C) and (n, C)."""

    asked: Array
    found: Array

    def match(self, rows: slice) -> Bools:
        """(b, n) whether a case of the gallery is of a class of the query."""
        if self.asked.ndim == 1:
            return self.asked[rows, None] == self.found
        return self.asked[rows].astype(np.float32) @ self.found.T.astype(np.float32) > 0


def _levels(
    labels: Mapping[str, ArrayLike], found: Mapping[str, ArrayLike], sizes: Sequence[int]
) -> dict[str, _Classes]:
    if not labels or set(labels) != set(found):
        raise DataError(
            "queries and gallery need labels at the same levels, at least one,"
            f" but got {listed(labels) or 'none'} and {listed(found) or 'none'}."
        )
    return {level: _classes(level, (labels[level], found[level]), sizes) for level in labels}


def _classes(level: str, labels: Sequence[ArrayLike], sizes: Sequence[int]) -> _Classes:
    asked, found = (checked_classes(level, given, size) for given, size in zip(labels, sizes, strict=True))
    if asked.shape[1:] != found.shape[1:]:
        raise DataError(
            f"labels at the level '{level}' must be of the same kind in queries and gallery,"
            f" but got shapes {asked.shape} and {found.shape}."
        )
    if asked.ndim == 1:
        numbers = pd.factorize(np.concatenate([asked, found]))[0]
        asked, found = numbers[: len(asked)], numbers[len(asked) :]
    return _Classes(asked, found)

"""Correction: "like this, but right adnexa". What an image shows besides its view, looked for in another one.

Frames of one view lie around the mean of that view. What is left of an embedding when the mean of its own
view is taken away is what it shows besides; the cases of the wanted view are ordered by the cosine of what is
left of both. It finds more of what the query shows than the nearest of the wanted view as they are, which is
measured by benchmarks/correction.py and kept in docs/results/correction.md.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .asking import Asked, Shown
from .store import Store, Vectors
from .terms import LABEL, Terms

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def besides(embeddings: Floats, mean: Floats) -> Floats:
    """What embeddings (n, D) show besides a mean (D,), of length 1; zero where nothing is left."""
    left = embeddings - mean
    length = np.linalg.norm(left, axis=1, keepdims=True)
    return np.divide(left, length, out=np.zeros_like(left), where=length > 0)


def corrected(
    store: Store, terms: Terms, term: str, asked: Asked, vectors: Vectors, may: Bools
) -> tuple[Vectors, Floats] | None:
    """The cases of a wanted view and a query, both as what they show besides their view.

    Args:
        store: of the base.
        terms: of its bundle.
        term: the wanted view, or what several views are kinds of.
        asked: the query.
        vectors: all n cases.
        may: (n,) which of them may be found; each shows the term.

    Returns:
        the m cases that may be found, and (q, D); None where the term is no view, or nothing is known of the
        view of a frame of the query, or no case of another patient shows it.
    """
    own = np.isin(vectors.groups, list(asked.groups))
    means = [_of_its_view(store, terms, term, shown, vectors, own) for shown in asked.shown]
    known = [mean for mean in means if mean is not None]
    if len(known) < len(means) or not may.any():
        return None
    rows = np.flatnonzero(may)
    matrix = vectors.matrix[rows]
    found = replace(
        vectors,
        ids=vectors.ids[rows],
        matrix=besides(matrix, _mean(matrix)),
        groups=vectors.groups[rows],
        exams=vectors.exams[rows],
    )
    left = [besides(row[None], mean)[0] for row, mean in zip(asked.vectors, known, strict=True)]
    return found, np.stack(left)


def _of_its_view(
    store: Store, terms: Terms, term: str, shown: Shown, vectors: Vectors, own: Bools
) -> Floats | None:
    """The mean of the other patients' cases of the view that something shows."""
    for name in (f"{LABEL}{level}" for level in terms.levels):
        views = shown.facts.get(name, ())
        if terms.codes(name, views) and _is_view(store, terms, term, name):
            rows = np.isin(vectors.ids, _with(store, name, views)) & ~own
            return _mean(vectors.matrix[rows]) if rows.any() else None
    return None


def _is_view(store: Store, terms: Terms, term: str, name: str) -> bool:
    """Whether cases are labelled with a term, or with a kind of it, at a level."""
    return bool(terms.below(term) & {*terms.codes(name, store.facts().get(name, ()))})


def _with(store: Store, name: str, texts: Sequence[str]) -> NDArray[np.int64]:
    """The cases that have a fact; none where no case has any of that name."""
    return store.where({name: texts}) if name in store.facts() else np.empty(0, np.int64)


def _mean(matrix: Floats) -> Floats:
    return matrix.mean(axis=0, dtype=np.float64).astype(np.float32)

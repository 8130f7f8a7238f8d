"""Correction: "like this, but right adnexa". An image moved from its view towards another one.

Frames of one view lie around the mean of that view. An image is moved from the mean of its own view to that
of the wanted one, and the cases of the wanted view that lie nearest to where it is then come first. Measured
beside the nearest of the wanted view: benchmarks/correction.py, docs/results/correction.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .asking import Asked, Shown
from .store import Store, Vectors
from .terms import LABEL, Terms

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def moved(embedding: Floats, own: Floats, wanted: Floats) -> Floats:
    """An embedding (D,) moved from one mean to another, of length 1; as it was where nothing is left."""
    there = embedding - own + wanted
    length = np.linalg.norm(there)
    return (there / length).astype(np.float32) if length else embedding


def corrected(
    store: Store, terms: Terms, term: str, asked: Asked, vectors: Vectors, may: Bools
) -> Floats | None:
    """The embeddings of a query, moved towards a wanted view.

    Args:
        store: of the base.
        terms: of its bundle.
        term: the wanted view, or what several views are kinds of.
        asked: the query.
        vectors: all n cases.
        may: (n,) which of them may be found; each shows the term.

    Returns:
        (q, D); None where the term is no view, or nothing is known of the view of a frame of the query, or no
        case of another patient shows it.
    """
    own = np.isin(vectors.groups, list(asked.groups))
    means = [_of_its_view(store, terms, term, shown, vectors, own) for shown in asked.shown]
    known = [mean for mean in means if mean is not None]
    if len(known) < len(means) or not may.any():
        return None
    wanted = _mean(vectors.matrix[may])
    return np.stack([moved(row, mean, wanted) for row, mean in zip(asked.vectors, known, strict=True)])


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

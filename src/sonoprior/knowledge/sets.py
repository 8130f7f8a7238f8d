"""How near two sets of terms are, so that two annotated images can be compared.

Codes that the ontology does not have are kept: two equal ones have the similarity 1, a pair of which one is
unknown 0. An image without any code says nothing: its similarities are NaN, not 0.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import one_of
from sonoprior.core.errors import OntologyError

from .similarity import TermSimilarity

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


def best_match_average(pairs: Floats, starts: Places) -> Floats:
    """Every term with its nearest in the other set, averaged over the terms of both.

    Azuaje, Wang and Bodenreider, Ontology-driven similarity approaches to supporting gene functional
    assessment, ISMB Bio-ontologies meeting 2005. 1 for equal sets.

    Args:
        pairs: (a, l) similarities of the a terms of one set with the terms of m others, side by side.
        starts: (m,) where each of the others begins.

    Returns:
        (m,) similarities; likewise below.
    """
    there = np.maximum.reduceat(pairs, starts, axis=1).sum(axis=0)
    back = np.add.reduceat(pairs.max(axis=0), starts)
    return (there + back) / (len(pairs) + _sizes(pairs, starts))


def _sizes(pairs: Floats, starts: Places) -> Places:
    return np.diff(starts, append=pairs.shape[1])


def maximum(pairs: Floats, starts: Places) -> Floats:
    """The nearest two terms: 1 as soon as one term is shared."""
    return np.maximum.reduceat(pairs.max(axis=0), starts)


def average(pairs: Floats, starts: Places) -> Floats:
    """All pairs of terms, averaged; below 1 for equal sets of several terms."""
    return np.add.reduceat(pairs.sum(axis=0), starts) / (len(pairs) * _sizes(pairs, starts))


COMBINATIONS: dict[str, Callable[[Floats, Places], Floats]] = {
    "best_match_average": best_match_average,
    "maximum": maximum,
    "average": average,
}


def set_similarity(
    first: Sequence[Collection[str]],
    second: Sequence[Collection[str]],
    similarity: TermSimilarity,
    how: str = "best_match_average",
) -> Floats:
    """The similarity of each of n sets of codes with each of m others.

    Equal sets are compared once, and one set at a time with all others, so beyond the result little is held.

    Args:
        first: n sets of codes.
        second: m sets of codes.
        similarity: of single terms.
        how: "best_match_average", "maximum" or "average".

    Returns:
        (n, m); NaN where either set is empty.

    Raises:
        OntologyError: if `how` is unknown, or a set is a single text.
    """
    one_of("the similarity of sets", how, COMBINATIONS, OntologyError)
    rows, row_of = _distinct(first)
    columns, column_of = _distinct(second)
    complete = similarity.with_codes(set(chain(*rows, *columns)))
    found = np.full((len(rows), len(columns)), np.nan)
    filled = [place for place, codes in enumerate(columns) if codes]
    if filled:
        starts = np.cumsum([0, *(len(columns[place]) for place in filled[:-1])])
        beside = complete.positions(list(chain(*columns)))
        ends = np.cumsum([len(codes) for codes in rows])
        for row, own in enumerate(np.split(complete.positions(list(chain(*rows))), ends[:-1])):
            if len(own):
                found[row, filled] = COMBINATIONS[how](complete.values[np.ix_(own, beside)], starts)
    return found[np.ix_(row_of, column_of)]


def _distinct(sets: Sequence[Collection[str]]) -> tuple[list[tuple[str, ...]], Places]:
    """The different sets, and for each given one which of them it is."""
    for codes in sets:
        if isinstance(codes, str):
            raise OntologyError(
                f"a set of codes must be a list or a set of them, but got the text '{codes}'."
            )
    places: dict[tuple[str, ...], int] = {}
    which = [places.setdefault(tuple(sorted(set(codes))), len(places)) for codes in sets]
    return list(places), np.array(which, dtype=np.int64)

"""Levels in which a case may show several classes at once: every combination that occurs is one class number.

So a batch holds one number a case at every level, whatever a case shows, and whoever needs the single classes
looks them up in the members of the combination.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError

from .cells import EMPTY, split_items

BETWEEN = " + "
"""What stands between two classes in the name of a combination."""
NONE = "none"
"""The name of the combination that holds no class."""


@dataclass(frozen=True, eq=False)
class Combinations:
    """The K label combinations that occur in a level of C classes, and which of them each case shows.

    Combinations are sorted by the numbers of their classes, as words are by their letters: none, liver,
    liver + kidney, kidney.

    Attributes:
        names: of each combination.
        members: (K, C) bool, which classes each of them holds.
        labels: (n,) the combination of each case; -1 where unknown.
    """

    names: list[str]
    members: NDArray[np.bool_]
    labels: NDArray[np.int64]


def combinations_of(cells: Iterable[str | None], classes: Sequence[str]) -> Combinations:
    """The combinations in the cells of a level in which a case may show several classes.

    >>> found = combinations_of(["kidney;liver", None, "@empty", "liver"], ["liver", "kidney"])
    >>> found.names, found.labels.tolist()
    (['none', 'liver', 'liver + kidney'], [2, -1, 0, 1])

    Args:
        cells: (n,) of text or None; see `classes_in`.
        classes: the C classes of the level, among which every class of a cell is.
    """
    given = list(cells)
    number = {name: at for at, name in enumerate(classes)}
    held = {
        cell: tuple(sorted({number[name] for name in classes_in(cell)}))
        for cell in set(given)
        if cell is not None
    }
    known = sorted(set(held.values()))
    place = {combination: at for at, combination in enumerate(known)}
    members = np.zeros((len(known), len(classes)), dtype=bool)
    for at, combination in enumerate(known):
        members[at, list(combination)] = True
    labels = [-1 if cell is None else place[held[cell]] for cell in given]
    return Combinations([name_of(row, classes) for row in members], members, np.array(labels, dtype=np.int64))


def classes_in(cell: str) -> list[str]:
    """The classes of a cell "liver;kidney"; none in one that says that nothing is shown, `EMPTY`."""
    return [] if cell == EMPTY else split_items(cell)


def members_named(names: Iterable[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    """The classes (n, C) of combinations by their names (n,), as `name_of` gives them.

    Raises:
        DataError: if a name holds a class that is not there.
    """
    given = list(names)
    number = {name: at for at, name in enumerate(classes)}
    held: dict[str, NDArray[np.bool_]] = {}
    for name in set(given):
        held[name] = np.zeros(len(classes), dtype=bool)
        for one in [] if name == NONE else name.split(BETWEEN):
            held[name][number[one_of("a class", one, classes, DataError)]] = True
    return np.array([held[name] for name in given], dtype=bool).reshape(len(given), len(classes))


def name_of(shown: NDArray[np.bool_], classes: Sequence[str]) -> str:
    """The name of the combination that holds the classes (C,) shown."""
    return BETWEEN.join(name for name, held in zip(classes, shown, strict=True) if held) or NONE

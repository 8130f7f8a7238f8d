"""Who is above whom, and how far: the matrices that every measure of similarity starts from."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .ontology import Ontology

Floats = NDArray[np.float64]


class Ancestry:
    """The `is_a` hierarchy of an ontology of n terms as arrays; all positions are those of its `order`.

    Attributes:
        terms: the n codes, parents before children.
        steps: (n, n), in row i and column j the fewest steps of `is_a` from term i up to term j: 0 to itself,
            infinite where j is no ancestor of i.
        depth: (n,) how many terms stand on the longest way down from a root, both ends counted: 1 for a root,
            and more for a child than for any of its parents.
    """

    def __init__(self, ontology: Ontology) -> None:
        self.terms = ontology.order
        parents = [[ontology.positions[parent] for parent in ontology.parents(term)] for term in self.terms]
        self.steps = np.full((len(parents), len(parents)), np.inf)
        self.depth = np.ones(len(parents))
        for position, above in enumerate(parents):
            if above:
                self.steps[position] = self.steps[above].min(axis=0) + 1
                self.depth[position] = self.depth[above].max() + 1
            self.steps[position, position] = 0

    @property
    def above(self) -> NDArray[np.bool_]:
        """(n, n), in row i and column j whether j is an ancestor of i, or i itself."""
        return np.isfinite(self.steps)

    def best_common(self, worth: Callable[[int, Floats], Floats | float]) -> Floats:
        """The worth of the best common ancestor of each pair of terms, (n, n); 0 where they have none.

        A common ancestor writes to the square of its descendants only, so the cost is that of the pairs which
        do share it, not of all triples. Several parents need no more than that.

        Args:
            worth: takes the position of an ancestor and (m, m) the steps between two of its m descendants
                through it, and gives (m, m) numbers of at least 0, or one for all.
        """
        best = np.zeros_like(self.steps)
        for ancestor in range(len(best)):
            below = np.flatnonzero(np.isfinite(self.steps[:, ancestor]))
            up = self.steps[below, ancestor]
            square = np.ix_(below, below)
            best[square] = np.maximum(best[square], worth(ancestor, up[:, None] + up[None, :]))
        return best

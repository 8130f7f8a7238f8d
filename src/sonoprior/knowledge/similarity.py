"""How near two terms of an ontology are, for all pairs at once.

Every measure is symmetric and lies in [0, 1], with 1 for a term and itself (but for Resnik's), and does not
grow while one walks away along a chain. With several parents a measure takes the common ancestor that makes
the two terms nearest. Terms under different roots share nothing: that is 0, but for Jiang and Conrath's.

To add a measure: a class here, a line in `MEASURES`; `tests/knowledge/test_similarity.py` then holds it to
these laws.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import nearest
from sonoprior.core.errors import OntologyError
from sonoprior.core.registry import Registry

from .ancestry import Ancestry
from .information import information as information_of
from .ontology import Ontology

Floats = NDArray[np.float64]

MEASURES = Registry(
    "term_similarities",
    {
        "jiang_conrath": "sonoprior.knowledge.similarity:JiangConrath",
        "lin": "sonoprior.knowledge.similarity:Lin",
        "resnik": "sonoprior.knowledge.similarity:Resnik",
        "shortest_path": "sonoprior.knowledge.similarity:ShortestPath",
        "simsuog_like": "sonoprior.knowledge.similarity:SimSuogLike",
        "wu_palmer": "sonoprior.knowledge.similarity:WuPalmer",
    },
    OntologyError,
)


@dataclass(frozen=True)
class Informed:
    """What a measure may look at.

    Attributes:
        ancestry: the hierarchy of n terms.
        content: (n,) their information contents.
    """

    ancestry: Ancestry
    content: Floats

    def shared(self) -> Floats:
        """The content of the most informative common ancestor of each pair, (n, n); 0 where there is none."""
        return self.ancestry.best_common(lambda common, _: float(self.content[common]))

    def own(self) -> Floats:
        """The contents of both terms of each pair together, (n, n)."""
        return self.content[:, None] + self.content[None, :]


@dataclass(frozen=True)
class Measure(ABC):
    """A similarity of terms; its settings are its fields.

    Attributes:
        of_itself_is_one: whether a term has the similarity 1 with itself.
    """

    of_itself_is_one: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, graph: Informed) -> Floats:
        """The similarities (n, n) of n terms."""


@dataclass(frozen=True)
class ShortestPath(Measure):
    """1 / (1 + d), with d the fewest steps of `is_a` between the terms through a common ancestor.

    Rada et al., Development and application of a metric on semantic nets, IEEE Transactions on Systems, Man
    and Cybernetics 19, 1989.
    """

    def __call__(self, graph: Informed) -> Floats:
        """See `Measure`."""
        return graph.ancestry.best_common(lambda _, length: 1 / (1 + length))


@dataclass(frozen=True)
class WuPalmer(Measure):
    """2 h / (d + 2 h), with h the depth of the common ancestor c (1 for a root) and d the steps through c.

    Wu and Palmer, Verb semantics and lexical selection, ACL 1994.
    """

    def __call__(self, graph: Informed) -> Floats:
        """See `Measure`."""
        twice = 2 * graph.ancestry.depth
        return graph.ancestry.best_common(lambda common, length: twice[common] / (length + twice[common]))


@dataclass(frozen=True)
class Resnik(Measure):
    """The content of the most informative common ancestor; with itself a term has its own content.

    Resnik, Using information content to evaluate semantic similarity in a taxonomy, IJCAI 1995.
    """

    of_itself_is_one = False

    def __call__(self, graph: Informed) -> Floats:
        """See `Measure`."""
        return graph.shared()


@dataclass(frozen=True)
class Lin(Measure):
    """The shared content as a share of the terms' own: 2 I(c) / (I(a) + I(b)).

    Two terms that both say nothing have 0 in common. Lin, An information-theoretic definition of similarity,
    ICML 1998.
    """

    def __call__(self, graph: Informed) -> Floats:
        """See `Measure`."""
        shared, own = 2 * graph.shared(), graph.own()
        similar = np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)
        np.fill_diagonal(similar, 1.0)  # also for a root, whose content may be 0
        return similar


@dataclass(frozen=True)
class JiangConrath(Measure):
    """1 - (I(a) + I(b) - 2 I(c)) / 2: Jiang and Conrath's distance, turned round by Seco et al. (equation 6).

    Two terms that share nothing are as far apart as they have content, so uninformative ones are near. Jiang
    and Conrath, Semantic similarity based on corpus statistics and lexical taxonomy, ROCLING 1997.
    """

    def __call__(self, graph: Informed) -> Floats:
        """See `Measure`."""
        return 1 - (graph.own() - 2 * graph.shared()) / 2


@dataclass(frozen=True)
class SimSuogLike(Measure):
    """1 / (1 + d k^I(c)): the distance between the terms, shorter where their common ancestor says more.

    The thesis (section 1.3, figure 1.3; section 3.6.2) tells of SimSUOG that it combines the semantic
    distance of two entities with the information content of their lowest common ancestor, and prints no
    formula. This one is wpath (Zhu and Iglesias, Computing semantic similarity of concepts in knowledge
    graphs, IEEE TKDE 29, 2017), which combines the two in one number of the same range. It is not the
    published SimSUOG.

    Attributes:
        k: in (0, 1], what a step counts under the most informative ancestor beside a step under one that says
            nothing. 1 is `ShortestPath`. The contents here end at 1, those of the paper go on, so its k of
            0.8 is no guide.
    """

    k: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.k <= 1:
            raise OntologyError(f"k must lie above 0 and be at most 1, but got {self.k}.")

    def __call__(self, graph: Informed) -> Floats:
        """See `Measure`."""
        step = self.k**graph.content
        return graph.ancestry.best_common(lambda common, length: 1 / (1 + length * step[common]))


@dataclass(frozen=True)
class TermSimilarity:
    """Similarities of codes.

    Attributes:
        terms: the n codes.
        values: (n, n).
    """

    terms: tuple[str, ...]
    values: Floats

    def positions(self, codes: Sequence[str]) -> NDArray[np.int64]:
        """Where codes stand in `terms`.

        Raises:
            OntologyError: if a code is not among them; the nearest one is offered.
        """
        places = {code: place for place, code in enumerate(self.terms)}
        for code in codes:
            if code not in places:
                raise OntologyError(f"no similarity is known of the code '{code}'.{nearest(code, places)}")
        return np.array([places[code] for code in codes], dtype=np.int64)

    def between(self, first: Sequence[str], second: Sequence[str]) -> Floats:
        """The similarities (a, b) of a codes with b codes; unknown ones are refused as in `positions`."""
        return self.values[np.ix_(self.positions(first), self.positions(second))]

    def with_codes(self, codes: Collection[str]) -> "TermSimilarity":
        """These similarities and more codes, of which nothing is known but the code.

        Such a code has the similarity 1 with itself and 0 with every other. In real exams most finding codes
        may be so; dropping them would make images equal that are not.
        """
        unknown = tuple(sorted(set(codes) - set(self.terms)))
        size = len(self.terms)
        values = np.eye(size + len(unknown))
        values[:size, :size] = self.values
        return TermSimilarity(self.terms + unknown, values)


def term_similarity(
    ontology: Ontology,
    measure: str = "simsuog_like",
    information: str = "sanchez",
    images: Sequence[Collection[str]] | None = None,
    **settings: Any,
) -> TermSimilarity:
    """The similarity of all pairs of terms through `is_a`; `typed_edges` adds the other relations.

    Args:
        ontology: the graph.
        measure: a name in `MEASURES`.
        information: where information contents come from: "seco", "sanchez" or "annotations".
        images: the codes of annotated images, for "annotations".
        **settings: of the measure, as k of "simsuog_like".

    Returns:
        the similarities in the ontology's order.

    Raises:
        OntologyError: if a name is unknown or a setting cannot be used.
    """
    chosen = _measure(measure, settings)
    ancestry = Ancestry(ontology)
    content = information_of(ancestry, information, images)
    return TermSimilarity(ontology.order, chosen(Informed(ancestry, content)))


def _measure(name: str, settings: dict[str, Any]) -> Measure:
    kind = MEASURES.load(name)
    allowed = [field.name for field in fields(kind)]
    for setting in settings:
        if setting not in allowed:
            has = f"has the settings {', '.join(allowed)}" if allowed else "has no settings"
            raise OntologyError(
                f"the measure '{name}' {has}, but got '{setting}'.{nearest(setting, allowed)}"
            )
    return kind(**settings)

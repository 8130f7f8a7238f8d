"""The terms of cases and of their classes: which cases show one, and how far apart two views are."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle.manifest import Manifest
from sonoprior.core.errors import DataError, OntologyError
from sonoprior.knowledge.ontology import Ontology, Term
from sonoprior.knowledge.sets import set_similarity
from sonoprior.knowledge.similarity import TermSimilarity, term_similarity

from .store import Store

Facts = Mapping[str, Sequence[str]]
Places = NDArray[np.int64]
Floats = NDArray[np.float64]

LABEL = "label."
_TERMS = "terms"


class Terms:
    """The ontology of a bundle, as the facts of cases are written in it.

    Args:
        manifest: of the bundle; it names the terms of classes.
        ontology: of the bundle; None where it has none.

    Attributes:
        own_levels: the levels of the labels that the bundle names or embeds by, the leaf first.
        levels: these, then all others of whose classes it knows the terms.
    """

    def __init__(self, manifest: Manifest, ontology: Ontology | None) -> None:
        self.manifest = manifest
        self.ontology = ontology
        named = [manifest.views.level] if manifest.views else []
        self.own_levels = list(dict.fromkeys([*named, *manifest.levels]))
        self.levels = list(dict.fromkeys([*self.own_levels, *manifest.terms]))

    def term(self, text: str) -> Term:
        """The term of a code, name or synonym.

        Raises:
            DataError: if the bundle has no ontology.
            OntologyError: if the ontology has no such term.
        """
        if self.ontology is None:
            raise DataError(
                f"a search for the term '{text}' needs an ontology, but the bundle '{self.manifest.name}' has"
                f" none; filter by what the cases say themselves, as in --where '{_TERMS}={text}'."
            )
        return self.ontology.find(text)

    def below(self, text: str) -> frozenset[str]:
        """The codes of a term and of everything that is a kind of it; errors as in `term`."""
        code = self.term(text).id
        assert self.ontology is not None  # it has a term
        return frozenset(self.ontology.descendants(code))

    def cases(self, store: Store, text: str) -> Places:
        """The numbers, ascending, of the cases that show a term or a kind of it, or are of such a class.

        Raises:
            DataError: if the bundle has no ontology, or no case shows such a term.
            OntologyError: if the ontology has no such term.
        """
        term, below = self.term(text), self.below(text)
        found: list[Places] = []
        for name, texts in store.facts().items():
            if name != _TERMS and not name.startswith(LABEL):
                continue  # of a large base these are most texts
            wanted = [each for each in texts if below & {*self.codes(name, [each])}]
            if wanted:
                found.append(store.where({name: wanted}))
        if not found:
            kinds = f" or any of the {len(below) - 1} terms below it" if len(below) > 1 else ""
            raise DataError(f"no case of the base shows '{term.name}'{kinds}.")
        return np.unique(np.concatenate(found))

    def codes(self, name: str, texts: Iterable[str]) -> tuple[str, ...]:
        """The codes of the terms that a fact names; none for a fact that names no terms.

        A class is called like its term, or the bundle knows which it is. What the ontology does not have, or
        has several of, is left out.
        """
        level = name.removeprefix(LABEL)
        if self.ontology is None or (level == name and name != _TERMS):
            return ()
        known = self.manifest.class_terms(level) if level != name else {}
        codes = [known.get(text) or self._code(text) for text in texts]
        return tuple(dict.fromkeys(code for code in codes if code))

    def _code(self, text: str) -> str | None:
        assert self.ontology is not None  # see `codes`
        try:
            return self.ontology.find(text).id if text in self.ontology else None
        except OntologyError:  # it stands for several terms
            return None

    def distance(self, first: Facts, second: Facts) -> float | None:
        """How far apart the views of two cases are, in [0, 1]: 1 minus the similarity of their terms.

        As in a run's measures (`how_wrong`); sets of several views by their best-match average. The views are
        taken at the first level at which terms of both are known.

        Returns:
            None where there is no such level.
        """
        for level in self.levels:
            own, other = (
                self.codes(f"{LABEL}{level}", facts.get(f"{LABEL}{level}", ())) for facts in (first, second)
            )
            if own and other:
                return float(1 - set_similarity([own], [other], self._similarity)[0, 0])
        return None

    def distances(self, level: str, classes: Sequence[str]) -> Floats | None:
        """How far apart the classes of a level are, (K, K); NaN without a term, None if no class has one."""
        codes = [self.codes(f"{LABEL}{level}", [name])[:1] for name in classes]
        if not any(codes):
            return None
        return 1 - set_similarity(codes, codes, self._similarity)

    @cached_property
    def _similarity(self) -> TermSimilarity:
        """Of all terms; a measure that is bounded by 1, and 1 for a term and itself."""
        assert self.ontology is not None  # there are codes
        return term_similarity(self.ontology)

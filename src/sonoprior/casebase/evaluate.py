"""What a base is worth as a search: every case a query, never answered by its own patient or exam."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle.learnt import digest
from sonoprior.core.checks import at_least, listed, one_of
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator
from sonoprior.metrics.bootstrap import Mean, Pair, interval, paired_difference
from sonoprior.metrics.catalogue import HOW_WRONG
from sonoprior.metrics.neighbours import Embedded, similarities
from sonoprior.metrics.retrieval import Retrieval, each_unlike_any, how_wrong, retrieval_by

from .rerank import reranked
from .search import over_cases
from .store import Store, Vectors
from .terms import LABEL, Terms

if TYPE_CHECKING:
    from .base import CaseBase

Floats = NDArray[np.float64]
Labels = NDArray[np.int64] | NDArray[np.bool_]
Places = NDArray[np.int64]
Numbers = Mapping[str, Mapping[str, float | None]]

QUERIES = 5000


@dataclass(frozen=True)
class Level:
    """The classes of the cases at one level of the labels.

    Attributes:
        name: of the level.
        classes: the K classes that occur, by name.
        labels: (n,) positions in them, -1 where unknown; bool (n, K) where a case may show several.
    """

    name: str
    classes: Sequence[str]
    labels: Labels

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which cases are labelled, (n,)."""
        return np.asarray(self.labels >= 0 if self.labels.ndim == 1 else self.labels.any(axis=1))


@dataclass(frozen=True)
class Evaluated:
    """The measures of a base.

    Attributes:
        cases: how many cases it has.
        groups: of how many patients or exams.
        queries: how many cases were looked for.
        learnt: how many cases, with a label and within the filter, had a part in the bundle's training; they
            are easier for it than what it has never seen, and not looked for unless that is asked for.
        levels: by level how many classes it has, the leaf first.
        unanswerable: by level how many queries no case of another group could answer; they count nowhere.
        measures: by measure and level ("recall@1.view"), "value", "low" and "high" of the search as it is;
            None where a number is not defined. "how_wrong" is the distance in the ontology of the nearest
            case's class from the query's where it is another.
        reranked: the same of re-ranked similarities.
        gain: of the second over the first, on the same queries.
    """

    cases: int
    groups: int
    queries: int
    learnt: int
    levels: Mapping[str, int]
    unanswerable: Mapping[str, int]
    measures: Numbers
    reranked: Numbers
    gain: Numbers


def evaluate(
    base: "CaseBase",
    levels: Sequence[str] = (),
    *,
    where: Mapping[str, Sequence[str]] | None = None,
    learnt: bool = False,
    queries: int = QUERIES,
    seed: int = 0,
) -> Evaluated:
    """Exam-safe recall, meta-recall, R-precision, MAP@R and the distance of errors, from the base itself.

    Recall at a level above the leaf is the thesis's meta-recall. Intervals draw whole groups of queries anew.

    Args:
        base: the base.
        levels: of the labels, the leaf first; none: the bundle's own, and those above it.
        where: by fact the texts of which a case that is looked for has one; any case may be found.
        learnt: whether cases that had a part in the bundle's training are looked for too.
        queries: at most so many cases are looked for; drawn by the seed where there are more.
        seed: of that draw and of the bank of the re-ranking.

    Raises:
        DataError: if the base is empty, has no labels or one class, there is no such level, or nothing is
            left to look for.
    """
    at_least("--queries", queries, 1, DataError)
    vectors = base.vectors()
    if not len(vectors.ids):
        raise DataError(f"{base.folder} holds no case; add a case set first.")
    terms = Terms(base.manifest, base.ontology)
    known = _levels(base.store, vectors, levels, terms.own_levels)
    leaf = known[0]
    if len(leaf.classes) < 2:
        raise DataError(
            f"a search is measured by at least two classes, but the cases of {base.folder} have"
            f" {listed(leaf.classes) or 'none'} at the level '{leaf.name}'."
        )
    asked = _asked(base.store, vectors, leaf, where)
    seen = _learnt(base, vectors.ids[asked])
    rows = _drawn(asked if learnt else asked[~seen], len(asked), queries, seed)
    search = _Measured(vectors, known, rows, terms)
    over_bank = over_cases(vectors, seed)
    plain = search.numbers(_near(vectors, rows))
    again = search.numbers((part, reranked(near, over_bank)) for part, near in _near(vectors, rows))
    groups = vectors.groups[rows]
    pairs = {name: [Pair(groups, (), again[name], plain[name])] for name in plain if name in again}
    return Evaluated(
        cases=len(vectors.ids),
        groups=len(np.unique(vectors.groups)),
        queries=len(rows),
        learnt=int(seen.sum()),
        levels={level.name: len(level.classes) for level in known},
        unanswerable={level.name: int(np.isnan(plain[f"recall@1.{level.name}"]).sum()) for level in known},
        measures={name: interval(Mean(), groups, values).plain() for name, values in plain.items()},
        reranked={name: interval(Mean(), groups, values).plain() for name, values in again.items()},
        gain={name: paired_difference(Mean(), pair).plain() for name, pair in pairs.items()},
    )


def _asked(store: Store, vectors: Vectors, leaf: Level, where: Mapping[str, Sequence[str]] | None) -> Places:
    """The rows of what may be looked for."""
    rows = np.flatnonzero(leaf.known & (np.isin(vectors.ids, store.where(where)) if where else True))
    if not len(rows):
        raise DataError(f"no case with a label at the level '{leaf.name}' passes the filter.")
    return rows


def _drawn(asked: Places, all_of_them: int, queries: int, seed: int) -> Places:
    """The rows of the queries, ascending: all that are left to look for where they are few."""
    if not len(asked):
        raise DataError(
            f"all {all_of_them} cases that would be looked for had a part in the training of the bundle,"
            " which is no measure of it; add others, or look for them all the same with --learnt."
        )
    return np.sort(generator(seed, "queries").permutation(asked)[:queries])


def _learnt(base: "CaseBase", ids: Places) -> NDArray[np.bool_]:
    """Which cases had a part in the bundle's training, (n,)."""
    names = (
        (record.fact("set") or "", record.fact("case") or "") for record in base.store.records(ids.tolist())
    )
    return np.array([digest(*name) in base.learnt for name in names], np.bool_)


@dataclass(frozen=True)
class _Measured:
    """Queries of a base, to be measured by one similarity after the other."""

    vectors: Vectors
    levels: Sequence[Level]
    rows: Places
    terms: Terms

    def numbers(self, blocks: Iterator[tuple[slice, NDArray[np.float32]]]) -> dict[str, Floats]:
        """By measure and level a number a query, (q,); NaN where it is not defined."""
        labels = {level.name: level.labels for level in self.levels}
        asked = each_unlike_any({name: of[self.rows] for name, of in labels.items()})
        given = each_unlike_any(labels, after=len(self.rows))
        sizes = (len(self.rows), len(self.vectors.ids))
        found = retrieval_by(blocks, asked, given, sizes)
        values = {f"{of}.{level}": row for level, rows in found.values.items() for of, row in rows.items()}
        return values | self._how_wrong(found)

    def _how_wrong(self, found: Retrieval) -> dict[str, Floats]:
        leaf = self.levels[0]
        distances = self.terms.distances(leaf.name, leaf.classes) if leaf.labels.ndim == 1 else None
        if distances is None:
            return {}
        values = how_wrong(found, leaf.name, leaf.labels[self.rows], distances, leaf.labels)
        return {f"{HOW_WRONG}.{leaf.name}": values}


def _near(vectors: Vectors, rows: Places) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    queries = Embedded(vectors.matrix[rows], vectors.groups[rows])
    return similarities(queries, Embedded(vectors.matrix, vectors.groups))


def _levels(store: Store, vectors: Vectors, asked: Sequence[str], own: Sequence[str]) -> list[Level]:
    """The levels that are measured, the leaf first.

    Raises:
        DataError: if no case has a label, or there is no such level.
    """
    facts = store.facts()
    known = {name.removeprefix(LABEL): list(texts) for name, texts in facts.items() if name.startswith(LABEL)}
    if not known:
        raise DataError("a search is measured by labels, but no case of the base has one.")
    for level in asked:
        one_of("--level", level, list(known), DataError)
    if asked:
        return [_level(store, vectors, level, known[level]) for level in dict.fromkeys(asked)]
    leaf = next((level for level in own if level in known), next(iter(known)))
    lowest = _level(store, vectors, leaf, known[leaf])
    others = [_level(store, vectors, level, known[level]) for level in known if level != leaf]
    return [lowest, *(level for level in others if level.name in own or _above(level, lowest))]


def _level(store: Store, vectors: Vectors, name: str, classes: Sequence[str]) -> Level:
    shown = np.stack(
        [np.isin(vectors.ids, store.where({f"{LABEL}{name}": [of]})) for of in sorted(classes)], axis=1
    )
    if (shown.sum(axis=1) > 1).any():
        return Level(name, sorted(classes), shown)
    return Level(name, sorted(classes), np.where(shown.any(axis=1), shown.argmax(axis=1), -1))


def _above(level: Level, leaf: Level) -> bool:
    """Whether a level unites classes of the leaf: each lies in one of its fewer, and not all in the same."""
    if level.labels.ndim > 1 or leaf.labels.ndim > 1 or not 1 < len(level.classes) < len(leaf.classes):
        return False
    both = level.known & leaf.known
    pairs = np.unique(np.stack([leaf.labels[both], level.labels[both]]), axis=1)
    return len(np.unique(pairs[1])) > 1 and len(np.unique(pairs[0])) == pairs.shape[1]

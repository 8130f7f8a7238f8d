"""What an embedding is worth: the nearest case of each case, and every measure of it. Free of torch."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.knowledge.sets import set_similarity
from sonoprior.knowledge.similarity import TermSimilarity
from sonoprior.metrics.bootstrap import interval
from sonoprior.metrics.catalogue import BY_RANK, HOW_WRONG, NMI, SPEARMAN, metric_named
from sonoprior.metrics.clustering import clusters
from sonoprior.metrics.neighbours import Embedded, similarities
from sonoprior.metrics.rank_correlation import spearman
from sonoprior.metrics.retrieval import Retrieval, each_unlike_any, how_wrong, retrieval

from .hierarchy_settings import RetrievalSettings

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Texts = NDArray[np.str_]
Labels = Mapping[str, NDArray[np.int64]]
Shared = NDArray[np.int64] | NDArray[np.bool_]
SetSimilarity = Callable[[Places, Places], Floats]

_LABEL, _CLUSTER = "label.", "cluster."
_MEASURES = tuple(f"{of}." for of in (*BY_RANK, HOW_WRONG, SPEARMAN))


@dataclass(frozen=True)
class Known:
    """What is known of the N cases of a set.

    Attributes:
        ids: (N,) of the cases.
        groups: (N,) patient, exam or duplicate group.
        labels: by level, the leaf's first, (N,) positions in its classes; -1 where unknown.
        classes: by level.
        kinds: by name (N, T) bool, which of T terms a case has.
        distances: (C, C) between the classes of the leaf; None where nothing tells them.
        sets: the similarity (q, n) of the terms of q and n cases by their positions; None without terms.
    """

    ids: Texts
    groups: Texts
    labels: Labels
    classes: Mapping[str, Sequence[str]]
    kinds: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    distances: Floats | None = None
    sets: SetSimilarity | None = None

    @property
    def leaf(self) -> str:
        """The level whose labels every measured case has."""
        return next(iter(self.labels))

    def of(self, positions: Places) -> dict[str, Shared]:
        """What some cases may have in common, by level and kind."""
        levels: dict[str, Shared] = {level: labels[positions] for level, labels in self.labels.items()}
        return levels | {name: has[positions] for name, has in self.kinds.items()}


@dataclass(frozen=True)
class Part:
    """Cases of a part as a network embedded them.

    Attributes:
        embeddings: (n, d).
        positions: (n,) in the case set.
    """

    embeddings: NDArray[np.float32]
    positions: Places


def of_term_sets(terms: Sequence[Collection[str]], similarity: TermSimilarity) -> SetSimilarity:
    """`Known.sets` for the terms of each case of a set."""

    def between(queries: Places, gallery: Places) -> Floats:
        return set_similarity([terms[at] for at in queries], [terms[at] for at in gallery], similarity)

    return between


def retrieval_table(
    parts: Mapping[str, Part], known: Known, settings: RetrievalSettings, train: Part | None = None
) -> pd.DataFrame:
    """What each case of some parts finds, as it stands in retrieval.csv.

    Args:
        parts: by name, all of known leaf label.
        known: what is known of the cases of the set.
        settings: where the nearest are looked for, and of which groups.
        train: the training cases; needed where they are the gallery.

    Returns:
        case, part, group, label.<level> (empty where unknown), nearest (the nearest case; empty where there
        is none), cluster.<level> (empty where the label is unknown), then a number a case and measure,
        <measure>.<level>: NaN where no case could answer; how wrong the nearest is, NaN where it is right
        or of unknown class, too; and Spearman's correlation of image and term similarity over the gallery.

    Raises:
        DataError: if an embedding cannot be used.
    """
    tables = [
        _table(name, part, known, settings, train if settings.gallery == "train" else None)
        for name, part in parts.items()
        if len(part.positions)
    ]
    return pd.concat(tables, ignore_index=True)


def _table(
    name: str, part: Part, known: Known, settings: RetrievalSettings, train: Part | None
) -> pd.DataFrame:
    queries = _embedded(part, known, settings)
    gallery = None if train is None else _embedded(train, known, settings)
    others = part.positions if train is None else train.positions
    asked = each_unlike_any(known.of(part.positions))
    given = None if gallery is None else each_unlike_any(known.of(others), after=len(part.positions))
    found = retrieval(queries, asked, gallery, given)
    ids = known.ids[others]
    columns = {"case": known.ids[part.positions], "part": name, "group": known.groups[part.positions]}
    columns |= {f"{_LABEL}{level}": _named(known, level, part.positions) for level in known.labels}
    columns |= {"nearest": np.where(found.first < 0, "", ids[found.first])}
    columns |= {f"{_CLUSTER}{level}": _clusters(part, known.labels[level]) for level in known.labels}
    columns |= {f"{of}.{level}": found.values[level][of] for level in found.values for of in BY_RANK}
    if known.distances is not None:
        columns[f"{HOW_WRONG}.{known.leaf}"] = _how_wrong(found, known, part.positions, others)
    if known.sets is not None:
        columns[f"{SPEARMAN}.{known.leaf}"] = _agreement(queries, gallery, part.positions, others, known.sets)
    return pd.DataFrame(columns)


def _embedded(part: Part, known: Known, settings: RetrievalSettings) -> Embedded:
    # A case is itself in a gallery of training cases too, where it is measured on these.
    alike = known.groups if settings.own_group == "left_out" else known.ids
    return Embedded(part.embeddings, alike[part.positions])


def _named(known: Known, level: str, positions: Places) -> Texts:
    names = np.array([*known.classes[level], ""])  # the last one is that of -1
    return names[known.labels[level][positions]]


def _clusters(part: Part, labels: NDArray[np.int64]) -> Texts:
    """As many as the classes that occur, of the cases whose class is known."""
    own = labels[part.positions]
    told = own >= 0
    found = np.full(len(own), "", dtype=object)
    if told.any():
        found[told] = clusters(part.embeddings[told], len(np.unique(own[told]))).astype(str)
    return found.astype(np.str_)


def _how_wrong(found: Retrieval, known: Known, queries: Places, gallery: Places) -> Floats:
    labels = known.labels[known.leaf]
    assert known.distances is not None
    return how_wrong(found, known.leaf, labels[queries], known.distances, labels[gallery])


def _agreement(
    queries: Embedded, gallery: Embedded | None, asked: Places, given: Places, sets: SetSimilarity
) -> Floats:
    """Whether images and terms put the gallery in the same order, (q,)."""
    return np.concatenate(
        [spearman(block, sets(asked[rows], given)) for rows, block in similarities(queries, gallery)]
    )


def retrieval_metrics(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float | None]]]:
    """Every metric of every part, with intervals that draw whole groups.

    Args:
        table: as `retrieval_table` gives it.

    Returns:
        part to metric to {"value", "low", "high"}; None where a number is not defined.
    """
    names = measured_names(str(name) for name in table.columns)
    return {
        str(part): {name: _measured(name, rows) for name in names}
        for part, rows in table.groupby("part", sort=False)
    }


def measured_names(columns: Iterable[str]) -> list[str]:
    """The metrics that a table with such columns holds: those of its numbers, and of its clusters."""
    names = list(columns)
    clustered = [f"{NMI}.{name.removeprefix(_CLUSTER)}" for name in names if name.startswith(_CLUSTER)]
    return [*numbers_of(names), *clustered]


def numbers_of(columns: Iterable[str]) -> list[str]:
    """The columns that hold a number a case."""
    return [name for name in columns if name.startswith(_MEASURES)]


def of_metric(name: str, rows: pd.DataFrame) -> tuple[NDArray[np.bool_], tuple[NDArray[np.generic], ...]]:
    """What a metric takes of the n rows of a table.

    Returns:
        (n,) which rows enter it, and of these the numbers, or the labels and clusters.
    """
    metric, level = metric_named(name), name.partition(".")[2]
    if metric.reads != "clusters":
        return np.ones(len(rows), dtype=np.bool_), (rows[name].to_numpy(np.float64),)
    labels, found = (rows[f"{of}{level}"].to_numpy(np.str_) for of in (_LABEL, _CLUSTER))
    told = labels != ""
    return told, (labels[told], found[told])


def _measured(name: str, rows: pd.DataFrame) -> dict[str, float | None]:
    told, arrays = of_metric(name, rows)
    if not told.any():
        return {"value": None, "low": None, "high": None}
    return interval(metric_named(name).statistic, rows["group"].to_numpy(np.str_)[told], *arrays).plain()


def retrieval_scalars(
    embeddings: NDArray[np.float32],
    labels: Mapping[str, Shared],
    groups: Texts,
    settings: RetrievalSettings,
) -> dict[str, float]:
    """The metrics that are cheap enough to be taken after every epoch, among the cases themselves.

    Args:
        embeddings: (n, d).
        labels: by level (n,), -1 where unknown; or by kind (n, T) bool.
        groups: (n,) patient, exam or duplicate group.
        settings: whether own groups are left out; the gallery is always these cases.

    Raises:
        DataError: if an embedding cannot be used.
    """
    cases = Embedded(embeddings, groups if settings.own_group == "left_out" else None)
    found = retrieval(cases, each_unlike_any(labels))
    return {f"{of}.{level}": value for level, means in found.means().items() for of, value in means.items()}

"""Every metric by name: how it is called, whether more of it is better, and what it is computed from.

A classifier's metrics are named as in `SCALARS`; those of several classes at once as in `DECISIONS`, and by
score and class, "f1.liver"; those of clusters as in `ASSIGNED`. Those of embeddings are named by measure and
label level, "recall@1.view", because each level has its own; which levels there are, the recipe says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import SonopriorError

from .bootstrap import Mean, Statistic
from .classification import SCALARS
from .cluster_agreement import AdjustedRand, Purity
from .clustering import MutualInformation
from .multilabel import ExactMatch, OverClasses
from .retrieval import MAP_AT_R, R_PRECISION, RECALLS

NMI, HOW_WRONG, SPEARMAN = "nmi", "how_wrong", "spearman"
MACRO_F1 = "macro_f1"
# Cheap enough to be computed after every epoch.
BY_RANK = (*(f"recall@{k}" for k in RECALLS), R_PRECISION, MAP_AT_R)

Reads = Literal["probabilities", "decisions", "assigned", "cases", "clusters", "outlines"]


@dataclass(frozen=True)
class Metric:
    """One number about a network.

    Attributes:
        name: as in recipes and results.csv.
        title: as in tables.
        higher_is_better: False for an error.
        percent: shown as a percentage; a correlation is not one.
        reads: what the statistic takes: labels (n,) and class "probabilities" (n, K); the classes that cases
            show and the "decisions" on them, both bool (n, C); a number a case (n,) of all "cases" or of
            those with "outlines"; or labels (n,) and the cluster of each case (n,), of its embedding
            ("clusters") or "assigned" by the network.
        statistic: what the bootstrap recomputes.
    """

    name: str
    title: str
    higher_is_better: bool
    percent: bool
    reads: Reads
    statistic: Statistic


@dataclass(frozen=True)
class _OfEmbeddings:
    """A measure of embeddings, the same at every level."""

    title: str
    reads: Reads = "cases"
    higher_is_better: bool = True
    percent: bool = True


OF_EMBEDDINGS: dict[str, _OfEmbeddings] = {
    **{f"recall@{k}": _OfEmbeddings(f"recall@{k}") for k in RECALLS},
    R_PRECISION: _OfEmbeddings("R-precision"),
    MAP_AT_R: _OfEmbeddings("MAP@R"),
    NMI: _OfEmbeddings("NMI", reads="clusters"),
    HOW_WRONG: _OfEmbeddings("error distance", higher_is_better=False, percent=False),
    SPEARMAN: _OfEmbeddings("Spearman correlation", percent=False),
}


@dataclass(frozen=True)
class _Decided:
    """A measure of decisions on several classes, or of clusters, by its name."""

    title: str
    statistic: Statistic


class _MacroF1:
    """The mean F1 over classes, of labels with probabilities or of decisions on several classes at once."""

    def __call__(self, labels: NDArray[Any], given: NDArray[Any]) -> float:
        return self._of(labels)(labels, given)

    def weighted(self, weights: NDArray[np.float64], labels: NDArray[Any], given: NDArray[Any]) -> Any:
        return self._of(labels).weighted(weights, labels, given)

    def _of(self, labels: NDArray[Any]) -> Any:
        return SCALARS[MACRO_F1] if np.ndim(labels) == 1 else OverClasses("f1", by_cases=False)


DECISIONS: dict[str, _Decided] = {
    "weighted_f1": _Decided("weighted F1", OverClasses("f1")),
    "weighted_precision": _Decided("weighted precision", OverClasses("precision")),
    "weighted_recall": _Decided("weighted recall", OverClasses("recall")),
    "exact_match": _Decided("exact match", ExactMatch()),
}
ASSIGNED: dict[str, _Decided] = {
    "cluster_nmi": _Decided("NMI of clusters", MutualInformation()),
    "cluster_ari": _Decided("adjusted Rand index of clusters", AdjustedRand()),
    "cluster_purity": _Decided("purity of clusters", Purity()),
}
OF_CLASSES: dict[str, _Decided] = {
    "f1": _Decided("F1", OverClasses("f1", by_cases=False)),
    "precision": _Decided("precision", OverClasses("precision", by_cases=False)),
    "recall": _Decided("recall", OverClasses("recall", by_cases=False)),
}


def metric_named(name: str, what: str = "metric") -> Metric:
    """A metric by its name; whether the level of one exists is for the recipe to check.

    >>> metric_named("recall@1.view").title
    'recall@1 (view)'

    Args:
        name: of `SCALARS`, `DECISIONS` or `ASSIGNED`; a measure of `OF_EMBEDDINGS`, a dot and a level; or one
            of `OF_CLASSES`, a dot and a class.
        what: what the name stands for, for messages.

    Raises:
        SonopriorError: if there is no such metric.
    """
    if name in SCALARS:
        scalar = SCALARS[name]
        statistic = _MacroF1() if name == MACRO_F1 else scalar
        return Metric(name, scalar.title, scalar.higher_is_better, True, "probabilities", statistic)
    if name in DECISIONS:
        return Metric(name, DECISIONS[name].title, True, True, "decisions", DECISIONS[name].statistic)
    if name in ASSIGNED:
        return Metric(name, ASSIGNED[name].title, True, True, "assigned", ASSIGNED[name].statistic)
    measure, _, level = name.partition(".")
    if measure in OF_CLASSES and level:
        of_class = OF_CLASSES[measure]
        return Metric(name, f"{of_class.title} of {level}", True, True, "decisions", of_class.statistic)
    if measure not in OF_EMBEDDINGS or not level:
        raise SonopriorError(_unknown(name, what))
    of = OF_EMBEDDINGS[measure]
    statistic = MutualInformation() if of.reads == "clusters" else Mean()
    title = f"{of.title} ({level})"
    return Metric(name, title, of.higher_is_better, of.percent, of.reads, statistic)


def _unknown(name: str, what: str) -> str:
    scalars, of_embeddings = sorted([*SCALARS, *DECISIONS, *ASSIGNED]), list(OF_EMBEDDINGS)
    hint = nearest(name.partition(".")[0], [*scalars, *of_embeddings])
    return (
        f"{what} must be one of {listed(scalars, len(scalars))}, one of {listed(of_embeddings)} with a label"
        f" level, such as recall@1.view, or one of {listed(OF_CLASSES)} with a class, such as f1.liver, but"
        f" got '{name}'.{hint}"
    )


Names = Literal["probabilities", "decisions", "clusters"]
"""What a run names classes by: probabilities of which one is the largest, decisions on each, or clusters."""


def metric_names(names: Names | None, levels: Sequence[str], kinds: Sequence[str] = ()) -> list[str]:
    """The metrics that the runs of a recipe have, but for those of single classes.

    Args:
        names: what they name classes by, if they do.
        levels: of their embeddings, the leaf's first; none for runs without embeddings.
        kinds: names of multi-labels; they have no clusters.
    """
    ranked = monitor_names(names, [*levels, *kinds])
    of_leaf = [f"{measure}.{levels[0]}" for measure in (HOW_WRONG, SPEARMAN)] if levels else []
    return [*ranked, *(f"{NMI}.{level}" for level in levels), *of_leaf]


def monitor_names(names: Names | None, levels: Sequence[str]) -> list[str]:
    """Those of them that are computed after every epoch."""
    decided = [*DECISIONS, MACRO_F1]
    of_classes = {
        "probabilities": [*SCALARS],
        "decisions": decided,
        "clusters": [*decided, *ASSIGNED],
    }
    return [
        *(of_classes[names] if names else ()),
        *(f"{measure}.{level}" for level in levels for measure in BY_RANK),
    ]


def class_of(name: str) -> str | None:
    """The class that a metric is about, "liver" of "f1.liver"; None for a metric of all classes."""
    measure, _, of = name.partition(".")
    return of if of and measure in OF_CLASSES else None

"""Every metric by name: how it is called, whether more of it is better, and what it is computed from.

A classifier's metrics are named as in `SCALARS`. Those of embeddings are named by measure and label level,
"recall@1.view", because each level has its own; which levels there are, the recipe says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sonoprior.core.checks import listed, nearest
from sonoprior.core.errors import SonopriorError

from .bootstrap import Mean, Statistic
from .classification import SCALARS
from .clustering import MutualInformation
from .retrieval import MAP_AT_R, R_PRECISION, RECALLS

NMI, HOW_WRONG, SPEARMAN = "nmi", "how_wrong", "spearman"
# Cheap enough to be computed after every epoch.
BY_RANK = (*(f"recall@{k}" for k in RECALLS), R_PRECISION, MAP_AT_R)

Reads = Literal["probabilities", "cases", "clusters", "outlines"]


@dataclass(frozen=True)
class Metric:
    """One number about a network.

    Attributes:
        name: as in recipes and results.csv.
        title: as in tables.
        higher_is_better: False for an error.
        percent: shown as a percentage; a correlation is not one.
        reads: what the statistic takes: labels (n,) and class "probabilities" (n, K); a number a case (n,)
            of all "cases" or of those with "outlines"; or labels (n,) and "clusters" (n,).
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


def metric_named(name: str, what: str = "metric") -> Metric:
    """A metric by its name; whether the level of one exists is for the recipe to check.

    >>> metric_named("recall@1.view").title
    'recall@1 (view)'

    Args:
        name: of `SCALARS`, or a measure of `OF_EMBEDDINGS`, a dot and a level.
        what: what the name stands for, for messages.

    Raises:
        SonopriorError: if there is no such metric.
    """
    if name in SCALARS:
        scalar = SCALARS[name]
        return Metric(name, scalar.title, scalar.higher_is_better, True, "probabilities", scalar)
    measure, _, level = name.partition(".")
    if measure not in OF_EMBEDDINGS or not level:
        raise SonopriorError(_unknown(name, what))
    of = OF_EMBEDDINGS[measure]
    statistic = MutualInformation() if of.reads == "clusters" else Mean()
    title = f"{of.title} ({level})"
    return Metric(name, title, of.higher_is_better, of.percent, of.reads, statistic)


def _unknown(name: str, what: str) -> str:
    scalars, of_embeddings = sorted(SCALARS), list(OF_EMBEDDINGS)
    hint = nearest(name.partition(".")[0], [*scalars, *of_embeddings])
    return (
        f"{what} must be one of {listed(scalars)}, or one of {listed(of_embeddings)} with a label level, such"
        f" as recall@1.view, but got '{name}'.{hint}"
    )


def metric_names(classifies: bool, levels: Sequence[str], kinds: Sequence[str] = ()) -> list[str]:
    """The metrics that the runs of a recipe have.

    Args:
        classifies: whether they give class probabilities.
        levels: of their embeddings, the leaf's first; none for runs without embeddings.
        kinds: names of multi-labels; they have no clusters.
    """
    ranked = monitor_names(classifies, [*levels, *kinds])
    of_leaf = [f"{measure}.{levels[0]}" for measure in (HOW_WRONG, SPEARMAN)] if levels else []
    return [*ranked, *(f"{NMI}.{level}" for level in levels), *of_leaf]


def monitor_names(classifies: bool, levels: Sequence[str]) -> list[str]:
    """Those of them that are computed after every epoch."""
    return [
        *(SCALARS if classifies else ()),
        *(f"{measure}.{level}" for level in levels for measure in BY_RANK),
    ]

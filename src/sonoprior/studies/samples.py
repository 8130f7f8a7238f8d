"""What of a run's cases enters a metric, whatever it is computed from, and of two runs the same cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.core.errors import FolderError
from sonoprior.metrics import Metric, Sample
from sonoprior.metrics.catalogue import class_of
from sonoprior.training.retrieval_evaluation import of_metric

from .finished import FinishedRun

Array = NDArray[Any]


@dataclass(frozen=True)
class Taken:
    """The cases of a run as a metric takes them.

    Attributes:
        cases: (n,) ids.
        groups: (n,) patient, exam or duplicate group.
        shared: arrays (n, ...) that every run has alike, as the labels; may be empty.
        given: (n, ...) what this run gave: probabilities, decisions, clusters, or a number a case.
    """

    cases: NDArray[np.str_]
    groups: NDArray[np.str_]
    shared: tuple[Array, ...]
    given: Array

    @property
    def sample(self) -> Sample:
        """For the bootstrap."""
        return Sample(self.groups, (*self.shared, self.given))

    def at(self, positions: Array | Sequence[int]) -> "Taken":
        """Those of some cases, in that order."""
        positions = np.asarray(positions, np.int64)
        shared = tuple(array[positions] for array in self.shared)
        return replace(
            self,
            cases=self.cases[positions],
            groups=self.groups[positions],
            shared=shared,
            given=self.given[positions],
        )


def taken(metric: Metric, run: FinishedRun, part: str = "test") -> Taken:
    """What of a run's cases enters a metric; for localisation those with an outline."""
    if metric.reads in {"decisions", "assigned"} or (run.decides and metric.reads == "probabilities"):
        return _decided(metric, run, part)
    if metric.reads == "probabilities":
        of = run.predictions(part)
        return Taken(of.cases, of.groups, (of.labels,), of.probabilities)
    return _localised(metric, run, part) if metric.reads == "outlines" else _embedded(metric, run, part)


def _decided(metric: Metric, run: FinishedRun, part: str) -> Taken:
    """The classes that cases show and those predicted, one where the metric is of one; or their clusters."""
    of = run.decisions(part)
    if metric.reads == "assigned":
        if of.clusters is None:
            raise FolderError(f"{run.folder} has no clusters, so {metric.title} is not known of it.")
        return Taken(of.cases, of.groups, (of.labels,), of.clusters)
    name = class_of(metric.name)
    columns = [list(run.singles).index(name)] if name else slice(None)
    return Taken(of.cases, of.groups, (of.shown[:, columns],), of.predicted[:, columns])


def _localised(metric: Metric, run: FinishedRun, part: str) -> Taken:
    """A number for each case that has an outline, the mean over its priors; NaN where it is not defined."""
    means = pd.Series(run.localisation(part).groupby("case", sort=True)[metric.name].mean())
    known = run.measured(part)
    group = dict(zip(known.cases.tolist(), known.groups.tolist(), strict=True))
    cases = [str(case) for case in means.index]
    groups = np.array([group[case] for case in cases], np.str_)
    return Taken(np.array(cases, np.str_), groups, (), np.array(means, np.float64))


def _embedded(metric: Metric, run: FinishedRun, part: str) -> Taken:
    table = run.retrieval(part)
    told, (*shared, given) = of_metric(metric.name, table)
    cases, groups = (np.asarray(table[name], np.str_)[told] for name in ("case", "group"))
    return Taken(cases, groups, tuple(shared), given)


def together(first: Taken, second: Taken) -> tuple[Taken, Taken]:
    """The cases that two runs share, in one order; of numbers those that both have."""
    _, here, there = np.intersect1d(first.cases, second.cases, return_indices=True)
    one, two = first.at(here), second.at(there)
    if one.shared:
        return one, two
    # A map that is blank in one model, or a neighbour that is right, has no number; it is left out of both.
    defined = np.flatnonzero(~np.isnan(one.given) & ~np.isnan(two.given))
    return one.at(defined), two.at(defined)

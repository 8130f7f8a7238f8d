"""What studies report of a run: the scalars of a classifier, and whether it looked there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.metrics import SCALARS, Mean, Pair, Sample
from sonoprior.metrics.bootstrap import Statistic
from sonoprior.metrics.localisation import MEASURES

from .finished import FinishedRun, Predictions

_LOCALISATION_TITLES = {
    "inside": "attribution inside the outline",
    "pointing": "pointing hits",
    "correlation": "correlation with the outline",
}


@dataclass(frozen=True)
class Measure:
    """One number of a run, and how its cases enter it.

    Attributes:
        name: as in results.csv.
        title: as in tables.
        higher_is_better: False for an error.
        percent: shown as a percentage; a correlation is not one.
        statistic: what the bootstrap recomputes.
    """

    name: str
    title: str
    higher_is_better: bool
    percent: bool
    statistic: Statistic

    @property
    def localises(self) -> bool:
        """Whether it is about where the model looked."""
        return self.name in MEASURES

    def sample(self, run: FinishedRun, part: str = "test") -> Sample:
        """The cases of a run as the statistic takes them; for localisation those with an outline."""
        if not self.localises:
            of = run.predictions(part)
            return Sample(of.groups, (of.labels, of.probabilities))
        _, groups, values = localised(run, self.name, part)
        return Sample(groups, (values,))

    def pair(self, treated: FinishedRun, baseline: FinishedRun, part: str = "test") -> Pair:
        """The cases that both runs were tested on, in one order."""
        return (
            self._localised_pair(treated, baseline, part)
            if self.localises
            else _pair(treated, baseline, part)
        )

    def _localised_pair(self, treated: FinishedRun, baseline: FinishedRun, part: str) -> Pair:
        cases, groups, first = localised(treated, self.name, part)
        others, _, second = localised(baseline, self.name, part)
        here, there = _shared(cases, others)
        first, second = first[here], second[there]
        # A map that is blank in one model has no number there; the pair is then left out of both.
        defined = ~np.isnan(first) & ~np.isnan(second)
        return Pair(groups[here][defined], (), first[defined], second[defined])


def _measures() -> dict[str, Measure]:
    scalars = {
        name: Measure(name, scalar.title, scalar.higher_is_better, True, scalar)
        for name, scalar in SCALARS.items()
    }
    return scalars | {
        name: Measure(name, _LOCALISATION_TITLES[name], True, name != "correlation", Mean())
        for name in MEASURES
    }


MEASURES_OF_RUNS: dict[str, Measure] = _measures()


def localised(
    run: FinishedRun, measure: str, part: str
) -> tuple[NDArray[np.str_], NDArray[np.str_], NDArray[np.float64]]:
    """One localisation measure of each case that has an outline, the mean over its priors.

    Returns:
        cases (n,), groups (n,) and values (n,), NaN where a value is not defined.
    """
    table = run.localisation(part)
    means = pd.Series(table.groupby("case", sort=True)[measure].mean())
    predictions = run.predictions(part)
    group = dict(zip(predictions.cases.tolist(), predictions.groups.tolist(), strict=True))
    cases = [str(case) for case in means.index]
    return (
        np.array(cases, np.str_),
        np.array([group[case] for case in cases], np.str_),
        np.array(means, np.float64),
    )


def _pair(treated: FinishedRun, baseline: FinishedRun, part: str) -> Pair:
    first, second = shared_predictions(treated, baseline, part)
    return Pair(first.groups, (first.labels,), first.probabilities, second.probabilities)


def shared_predictions(
    treated: FinishedRun, baseline: FinishedRun, part: str
) -> tuple[Predictions, Predictions]:
    """What two runs said of the cases that both have, in one order."""
    first, second = treated.predictions(part), baseline.predictions(part)
    here, there = _shared(first.cases, second.cases)
    return first.at(here), second.at(there)


def _shared(cases: NDArray[np.str_], others: NDArray[np.str_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    _, here, there = np.intersect1d(cases, others, return_indices=True)
    return here, there


def available(runs: Mapping[str, Sequence[FinishedRun]]) -> list[Measure]:
    """What can be reported of these variants: localisation where each has outlined test cases."""
    seen = all(any(len(run.localisation()) for run in of_variant) for of_variant in runs.values())
    return [measure for measure in MEASURES_OF_RUNS.values() if seen or not measure.localises]

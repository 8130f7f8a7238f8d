"""The difference of two variants in one measure, and how sure it is in two ways.

A treated variant is compared with a reference run by run, on the same fold and seed and on the same test
cases; the difference is the mean of these differences, so it equals the difference of the means wherever
no run is missing. Two questions are asked of it. Would it stand for other patients, with these trained
networks? A bootstrap answers (`metrics.bootstrap.averaged`): patients or duplicate groups of all test cases
are drawn with replacement, every run's metric is recomputed on what was drawn, the same draw for both.
Would it stand with other training sets? The corrected resampled t-test over the folds answers
(`metrics.corrected_t`), where there are at least two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sonoprior.metrics import CorrectedT, Interval, corrected_t, holm
from sonoprior.metrics.bootstrap import resampled_difference

from .finished import FinishedRun
from .measures import Measure

# So many draws that a p can still fall below 0.05 after a correction over a hundred comparisons.
SAMPLES = 4000

Matched = Sequence[tuple[FinishedRun, FinishedRun]]


@dataclass(frozen=True)
class Difference:
    """A treated variant minus its reference in one measure.

    Attributes:
        interval: the mean difference, with bounds over other patients.
        p: against zero, over other patients.
        corrected: the same over other training sets.
        of_runs: the difference in each fold and seed that both have finished.
        better: in how many of them the treated variant is better.
    """

    interval: Interval
    p: float
    corrected: CorrectedT
    of_runs: Sequence[float]
    better: int


def difference(measure: Measure, matched: Matched, samples: int = 1000) -> Difference | None:
    """The difference over matched runs; None where none of them has a case of the measure in common.

    Args:
        measure: what is compared.
        matched: pairs of a treated and a reference run on the same fold and seed.
        samples: draws of the bootstrap.
    """
    found = [(measure.pair(treated, base), treated) for treated, base in matched]
    found = [(pair, treated) for pair, treated in found if np.size(pair.groups)]
    if not found:
        return None
    pairs, runs = [pair for pair, _ in found], [treated for _, treated in found]
    of_runs = [
        measure.statistic(*pair.shared, pair.treated) - measure.statistic(*pair.shared, pair.baseline)
        for pair in pairs
    ]
    drawn = resampled_difference(measure.statistic, pairs, samples)
    sign = 1 if measure.higher_is_better else -1
    return Difference(
        interval=drawn.interval(),
        p=drawn.p(),
        corrected=corrected_t(of_runs, [run.fold for run in runs], _test_to_train(runs)),
        of_runs=of_runs,
        better=sum(sign * value > 0 for value in of_runs),
    )


def _test_to_train(runs: Sequence[FinishedRun]) -> float:
    """n_test / n_train, the mean over runs; of no account where there is one fold."""
    if len({run.fold for run in runs}) < 2:
        return 0.0
    return float(np.mean([run.part_sizes["test"] / run.part_sizes["train"] for run in runs]))


@dataclass(frozen=True)
class Claim:
    """A difference as one of several that are looked at together.

    Attributes:
        treated: the variant in question.
        reference: the variant that it is compared with.
        difference: treated minus reference, in an endpoint of the study.
        patients: p over other patients, corrected over the family.
        training_sets: p over other training sets, corrected over the family; NaN with one split.
        family: how many differences are looked at together.
    """

    treated: str
    reference: str
    difference: Difference
    patients: float
    training_sets: float
    family: int

    @property
    def covers_patients(self) -> bool:
        """Whether zero is left out over other patients, by the interval and by the corrected p."""
        return self.difference.interval.excludes_zero and self.patients < 0.05

    @property
    def covers_training_sets(self) -> bool:
        """Whether zero is left out over other training sets, by the interval and by the corrected p."""
        return self.difference.corrected.excludes_zero and self.training_sets < 0.05


def claims(differences: Sequence[tuple[str, str, Difference]]) -> list[Claim]:
    """Differences (treated, reference, difference) that are looked at together, corrected after Holm."""
    patients = holm([found.p for _, _, found in differences])
    training_sets = holm([found.corrected.p for _, _, found in differences])
    return [
        Claim(treated, reference, found, float(patients[at]), float(training_sets[at]), len(differences))
        for at, (treated, reference, found) in enumerate(differences)
    ]

"""What a study's finished runs say together: a table, and the difference to the baseline.

The statistics, in full. A run's metric is computed on the run's own test cases. A variant's number is the
mean over its runs (folds x seeds), with their sample standard deviation. A variant is compared with the
baseline run by run, on the same fold and seed and on the same test cases; the difference is the mean of
these differences, so it equals the difference of the means wherever no run is missing. Intervals come
from `metrics.bootstrap.averaged`: patients or duplicate groups of all test cases are drawn with
replacement, every run's metric is recomputed on what was drawn, and the mean over runs is taken again;
baseline and variant see the same draw. They cover other patients, not other training sets, and are not
corrected for the number of variants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sonoprior.core.errors import FolderError
from sonoprior.core.folder import require, whole_file, write_json
from sonoprior.metrics import Interval, Pair, averaged, paired_difference
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe

from .finished import FinishedRun, is_finished
from .layout import FORMAT, KIND, RECIPE, RESULTS, SUMMARY, planned_runs
from .measures import MEASURES_OF_RUNS, Measure, available

SAMPLES = 1000


@dataclass(frozen=True)
class Difference:
    """A variant compared with the baseline in one measure.

    Attributes:
        interval: the mean difference with its bounds.
        of_runs: the difference in each fold and seed that both have finished.
        better: in how many of them the variant is better.
    """

    interval: Interval
    of_runs: Sequence[float]
    better: int


@dataclass(frozen=True)
class Outcome:
    """One measure of one variant on the test cases.

    Attributes:
        variant: its name.
        measure: what was measured.
        of_runs: the number of each run.
        interval: their mean with its bounds.
        difference: to the baseline; None for the baseline itself, or without a run in common.
    """

    variant: str
    measure: Measure
    of_runs: Sequence[float]
    interval: Interval
    difference: Difference | None

    @property
    def std(self) -> float:
        """Sample standard deviation over runs; NaN for fewer than two."""
        return float(np.nanstd(self.of_runs, ddof=1)) if np.isfinite(self.of_runs).sum() > 1 else float("nan")


@dataclass(frozen=True)
class StudyResults:
    """The finished runs of a study.

    Attributes:
        folder: the study folder.
        recipe: what was asked.
        runs: variant to its finished runs, in the order of folds and seeds; only variants with one.
        missing: names of the runs that are planned and not finished.
    """

    folder: Path
    recipe: Recipe
    runs: Mapping[str, Sequence[FinishedRun]]
    missing: Sequence[str]

    @staticmethod
    def read(folder: Path) -> "StudyResults":
        """Read a study folder, finished or not.

        Raises:
            FolderError: if it is no study folder, holds no finished run, or a run is damaged.
        """
        require(folder, KIND, FORMAT)
        recipe = load_recipe(folder / RECIPE)
        runs: dict[str, list[FinishedRun]] = {}
        missing: list[str] = []
        for planned in planned_runs(recipe):
            if is_finished(planned.folder(folder)):
                runs.setdefault(planned.variant, []).append(FinishedRun.read(planned.folder(folder)))
            else:
                missing.append(planned.name)
        if not runs:
            raise FolderError(f"{folder} holds no finished run yet; run `sonoprior study` first.")
        ordered = {
            name: sorted(runs[name], key=lambda run: (run.fold, run.seed))
            for name in recipe.study.variants
            if name in runs
        }
        return StudyResults(folder, recipe, ordered, missing)

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return self.recipe.study.baseline

    @property
    def primary(self) -> Measure:
        """What was fixed beforehand as the endpoint."""
        return MEASURES_OF_RUNS[self.recipe.study.primary]

    @property
    def every_run(self) -> list[FinishedRun]:
        """The runs of all variants."""
        return [run for runs in self.runs.values() for run in runs]

    @property
    def first(self) -> FinishedRun:
        """A run, for what all have in common: classes, data, environment."""
        return self.every_run[0]

    @cached_property
    def measures(self) -> list[Measure]:
        """What is reported, the primary endpoint first."""
        return sorted(available(self.runs), key=lambda measure: measure.name != self.primary.name)

    @cached_property
    def outcomes(self) -> dict[tuple[str, str], Outcome]:
        """By (variant, measure's name)."""
        return {
            (variant, measure.name): self._outcome(variant, measure)
            for measure in self.measures
            for variant in self.runs
        }

    def outcome(self, variant: str, measure: Measure | None = None) -> Outcome:
        """The outcome of a variant, in the primary endpoint unless another measure is named."""
        return self.outcomes[variant, (measure or self.primary).name]

    def pairs(self, variant: str) -> list[tuple[FinishedRun, FinishedRun]]:
        """The variant's runs, each with the baseline's run on the same fold and seed."""
        of_baseline = {(run.fold, run.seed): run for run in self.runs.get(self.baseline, ())}
        return [
            (run, of_baseline[run.fold, run.seed])
            for run in self.runs[variant]
            if (run.fold, run.seed) in of_baseline
        ]

    @cached_property
    def compared(self) -> list[str]:
        """The variants that have a difference to the baseline."""
        return [name for name in self.runs if name != self.baseline and self.pairs(name)]

    @cached_property
    def chosen(self) -> str | None:
        """The compared variant that is best in the primary endpoint on the validation cases.

        Chosen without the test cases, so that its test result is not the luckiest of several.
        """
        sign = 1 if self.primary.higher_is_better else -1
        scores = {name: sign * self._validation(name) for name in self.compared}
        # A number that is not defined on the validation cases (AUROC of one class) is never the best.
        return max(scores, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf)) if scores else None

    def _validation(self, variant: str) -> float:
        values = [self._value(self.primary, run, "validation") for run in self.runs[variant]]
        return float(np.mean(values))

    @staticmethod
    def _value(measure: Measure, run: FinishedRun, part: str = "test") -> float:
        sample = measure.sample(run, part)
        return float(measure.statistic(*sample.arrays)) if np.size(sample.groups) else float("nan")

    def _outcome(self, variant: str, measure: Measure) -> Outcome:
        runs = self.runs[variant]
        taken = [measure.sample(run) for run in runs]
        return Outcome(
            variant=variant,
            measure=measure,
            of_runs=[self._value(measure, run) for run in runs],
            interval=averaged(measure.statistic, [one for one in taken if np.size(one.groups)], SAMPLES),
            difference=self._difference(variant, measure) if variant in self.compared else None,
        )

    def _difference(self, variant: str, measure: Measure) -> Difference | None:
        pairs = [measure.pair(run, base) for run, base in self.pairs(variant)]
        pairs = [pair for pair in pairs if np.size(pair.groups)]
        return difference(measure, pairs) if pairs else None

    def table(self) -> pd.DataFrame:
        """One row for each variant and measure, as it stands in results.csv."""
        return pd.DataFrame([_row(outcome) for outcome in self.outcomes.values()])

    def summary(self) -> dict[str, Any]:
        """The primary endpoint in short, as it stands in summary.json."""
        return {
            "study": self.recipe.name,
            "data": self.first.case_set,
            "simulated": self.first.simulated,
            "primary": self.primary.name,
            "baseline": self.baseline,
            "chosen_on_validation": self.chosen,
            "complete": not self.missing,
            "missing": list(self.missing),
            "variants": {name: _plain(_row(self.outcome(name))) for name in self.runs},
        }

    def write(self) -> None:
        """Write results.csv and summary.json into the study folder, each whole or not at all."""
        with whole_file(self.folder / RESULTS) as temporary:
            self.table().to_csv(temporary, index=False, lineterminator="\n")
        write_json(self.folder / SUMMARY, self.summary())


def difference(measure: Measure, pairs: Sequence[Pair]) -> Difference:
    """The difference in one measure over pairs of runs; each pair with at least one case."""
    statistic = measure.statistic
    of_runs = [
        statistic(*pair.shared, pair.treated) - statistic(*pair.shared, pair.baseline) for pair in pairs
    ]
    sign = 1 if measure.higher_is_better else -1
    better = sum(sign * value > 0 for value in of_runs)
    return Difference(paired_difference(statistic, pairs, SAMPLES), of_runs, better)


def _row(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {
        "variant": outcome.variant,
        "measure": outcome.measure.name,
        "runs": len(outcome.of_runs),
        "mean": outcome.interval.value,
        "std": outcome.std,
        "low": outcome.interval.low,
        "high": outcome.interval.high,
    }
    if outcome.difference is not None:
        value, low, high = outcome.difference.interval
        row |= {"difference": value, "difference_low": low, "difference_high": high}
        row |= {"pairs": len(outcome.difference.of_runs), "better": outcome.difference.better}
    return row


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers for JSON, which knows no NaN."""
    return {
        name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()
    }

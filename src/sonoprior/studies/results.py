"""What a study's finished runs say together: a table, and the differences that the study asked for.

The statistics, in full. A run's metric is computed on the run's own test cases. A variant's number is the
mean over its runs (folds x seeds), with their sample standard deviation; its interval draws patients or
duplicate groups (`metrics.bootstrap.averaged`). How variants are compared is said in `differences`. Where
several are compared, the p-values of the primary measure are corrected over them after Holm: the variants
of the study are one family, the controls another, the points of a curve a third. In each secondary measure
the variants of the study are a family once more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import require, whole_file, write_json
from sonoprior.metrics import Interval, averaged
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe

from .contrast import Kinds, Loss, losses
from .curve import Line, lines_of
from .differences import SAMPLES, Claim, Difference, claims, difference
from .finished import FinishedRun, is_finished
from .labels_saved import LabelCurves, label_curves
from .layout import FORMAT, KIND, RECIPE, RESULTS, SUMMARY, planned_runs
from .measures import Measure, available, measure_named
from .outcome import Outcome
from .rows import claim_row, corrected_columns, plain, row_of
from .spread import Spread, spread_of

_NOT_MEASURED = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class StudyResults:
    """The finished runs of a study.

    Attributes:
        folder: the study folder.
        recipe: what was asked.
        runs: variant to its finished runs, in the order of folds and seeds; only variants with one.
        missing: names of the runs that are planned and not finished.
        kinds: which case is of which kind, where the study has a contrast and they are at hand.
    """

    folder: Path
    recipe: Recipe
    runs: Mapping[str, Sequence[FinishedRun]]
    missing: Sequence[str]
    kinds: Kinds | None = None

    @staticmethod
    def read(folder: Path, case_set: CaseSet | None = None) -> "StudyResults":
        """Read a study folder, finished or not.

        Args:
            folder: the study folder.
            case_set: the study's cases; only a contrast needs them, and only the first time.

        Raises:
            FolderError: if it is no study folder, holds no finished run, or a run is damaged.
            DataError: if the case set cannot have the column of the contrast.
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
        kinds = Kinds.read(folder, recipe.study.contrast, case_set)
        return StudyResults(folder, recipe, ordered, missing, kinds)

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return self.recipe.study.baseline

    @property
    def primary(self) -> Measure:
        """What was fixed beforehand as the endpoint."""
        return measure_named(self.recipe.study.primary)

    @cached_property
    def secondary(self) -> list[Measure]:
        """The further endpoints."""
        return [measure_named(name) for name in self.recipe.study.secondary]

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
        return sorted(self.ordered, key=lambda measure: measure.name != self.primary.name)

    @cached_property
    def ordered(self) -> list[Measure]:
        """What is reported, in the order of the catalogue."""
        return available(self.runs)

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

    def reference(self, variant: str) -> str | None:
        """The variant that another one is compared with; None for one that only others are compared with."""
        return self.recipe.study.reference(variant)

    def matched(self, treated: str, reference: str) -> list[tuple[FinishedRun, FinishedRun]]:
        """The runs of one variant, each with the other's run on the same fold and seed."""
        others = {(run.fold, run.seed): run for run in self.runs.get(reference, ())}
        return [
            (run, others[run.fold, run.seed])
            for run in self.runs.get(treated, ())
            if (run.fold, run.seed) in others
        ]

    @cached_property
    def compared(self) -> list[str]:
        """The variants that have a difference to their reference."""
        references = {name: self.reference(name) for name in self.runs}
        return [name for name, other in references.items() if other and self.matched(name, other)]

    @cached_property
    def treated(self) -> list[str]:
        """The compared variants that are no controls: those that the study asks about."""
        return [name for name in self.compared if name not in self.recipe.study.controls]

    @cached_property
    def candidates(self) -> list[str]:
        """Those of `treated` that are compared with the baseline; all of them where none is."""
        return [name for name in self.treated if self.reference(name) == self.baseline] or self.treated

    @cached_property
    def chosen(self) -> str | None:
        """The candidate that stands for the study: the best in the primary endpoint on validation.

        Chosen without the test cases, so that its test result is not the luckiest of several.
        """
        return self._best(self.candidates) if self.candidates else None

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """Each reference to the treated variants that are compared with it."""
        found: dict[str, list[str]] = {}
        for claim in self.claims:
            found.setdefault(claim.reference, []).append(claim.treated)
        return found

    @cached_property
    def chosen_of(self) -> dict[str, str]:
        """Each reference to that one of its family which is best as `chosen` is."""
        return {reference: self._best(names) for reference, names in self.families.items()}

    @cached_property
    def claims(self) -> list[Claim]:
        """What the study asks about, each variant against its reference, corrected over all of them."""
        return self.claims_in(self.primary)

    def claims_in(self, endpoint: Measure) -> list[Claim]:
        """As `claims`, in the primary endpoint or another one."""
        if endpoint.name not in self._claims:
            references = {name: self.reference(name) for name in self.treated}
            names = [(name, other) for name, other in references.items() if other]
            self._claims[endpoint.name] = self.claims_of(names, endpoint)
        return self._claims[endpoint.name]

    @cached_property
    def _claims(self) -> dict[str, list[Claim]]:
        return {}

    def claim(self, treated: str, endpoint: Measure | None = None) -> Claim | None:
        """The claim about a variant, in the primary endpoint or another one; None where nothing is asked."""
        claims = self.claims_in(endpoint or self.primary)
        return next((claim for claim in claims if claim.treated == treated), None)

    @cached_property
    def control_claims(self) -> list[Claim]:
        """Each controlled variant against its control, corrected over all of them."""
        return self.claims_of([(of, control) for control, of in self.recipe.study.controls.items()])

    @cached_property
    def curve(self) -> list[Line]:
        """The lines of the study's curve that have points; the baseline's first."""
        settings = self.recipe.study.curve
        return [] if settings is None else lines_of(settings, self)

    @cached_property
    def label_curves(self) -> LabelCurves | None:
        """The study's lines over numbers of labels; None where it does not ask, or lacks runs."""
        return label_curves(self)

    @cached_property
    def spread(self) -> Spread | None:
        """How the study's methods spread; None where it does not ask, or lacks runs."""
        return spread_of(self)

    @cached_property
    def losses(self) -> list[Loss]:
        """What each variant loses from one kind of test cases to the other."""
        return losses(self)

    def claims_of(self, names: Sequence[tuple[str, str]], endpoint: Measure | None = None) -> list[Claim]:
        """The differences (treated, reference) that have a run in common, corrected over all of them."""
        found = [(treated, other, self.between(treated, other, endpoint)) for treated, other in names]
        return claims([(treated, other, of) for treated, other, of in found if of is not None])

    def between(self, treated: str, reference: str, endpoint: Measure | None = None) -> Difference | None:
        """The difference of two variants in an endpoint, the primary one if none is named.

        None without a run in common.
        """
        measure = endpoint or self.primary
        key = (treated, reference, measure.name)
        if key not in self._between:
            self._between[key] = difference(measure, self.matched(treated, reference), SAMPLES)
        return self._between[key]

    @cached_property
    def _between(self) -> dict[tuple[str, str, str], Difference | None]:
        return {}

    def _best(self, names: Sequence[str]) -> str:
        """The best of some variants in the primary endpoint on validation."""
        sign = 1 if self.primary.higher_is_better else -1
        scores = {name: sign * self._validation(name) for name in names}
        # A number that is not defined on the validation cases (AUROC of one class) is never the best.
        return max(scores, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf))

    def _validation(self, variant: str) -> float:
        values = [self._value(self.primary, run, "validation") for run in self.runs[variant]]
        return float(np.mean(values))

    @staticmethod
    def _value(measure: Measure, run: FinishedRun, part: str = "test") -> float:
        sample = measure.sample(run, part)
        return float(measure.statistic(*sample.arrays)) if np.size(sample.groups) else float("nan")

    def _outcome(self, variant: str, measure: Measure) -> Outcome:
        runs = self.runs[variant]
        taken = [sample for sample in map(measure.sample, runs) if np.size(sample.groups)]
        reference = self.reference(variant)
        return Outcome(
            variant=variant,
            measure=measure,
            of_runs=[self._value(measure, run) for run in runs],
            interval=averaged(measure.statistic, taken) if taken else _NOT_MEASURED,
            reference=reference,
            difference=self._difference(variant, reference, measure) if reference else None,
        )

    def _difference(self, variant: str, reference: str, measure: Measure) -> Difference | None:
        if self._is_endpoint(measure):
            return self.between(variant, reference, measure)
        return difference(measure, self.matched(variant, reference))

    def _is_endpoint(self, measure: Measure) -> bool:
        return measure.name in {self.primary.name, *self.recipe.study.secondary}

    def table(self) -> pd.DataFrame:
        """One row for each variant and measure, as it stands in results.csv."""
        return pd.DataFrame([self._row(outcome) for outcome in self.outcomes.values()])

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        asked = self._is_endpoint(outcome.measure)
        claim = self.claim(outcome.variant, outcome.measure) if asked else None
        return row_of(outcome) | ({} if claim is None else corrected_columns(claim))

    def summary(self) -> dict[str, Any]:
        """The primary endpoint in short, as it stands in summary.json."""
        return {
            "study": self.recipe.name,
            "question": self.recipe.study.question,
            "data": self.first.case_set,
            "simulated": self.first.simulated,
            "primary": self.primary.name,
            "baseline": self.baseline,
            "chosen_on_validation": self.chosen,
            "complete": not self.missing,
            "missing": list(self.missing),
            "comparisons": len(self.claims),
            "variants": {name: plain(self._row(self.outcome(name))) for name in self.runs},
            "secondary": [
                {"measure": measure.name} | plain(claim_row(claim))
                for measure in self.secondary
                for claim in self.claims_in(measure)
            ],
            "controls": [plain(claim_row(claim)) for claim in self.control_claims],
            "curve": [plain(row) for line in self.curve for row in line.rows()],
            "labels_saved": [] if self.label_curves is None else self.label_curves.rows(),
            "spread": [] if self.spread is None else self.spread.rows(),
            "losses": [plain(loss.row()) for loss in self.losses],
        }

    def write(self) -> None:
        """Write results.csv and summary.json into the study folder, each whole or not at all."""
        with whole_file(self.folder / RESULTS) as temporary:
            self.table().to_csv(temporary, index=False, lineterminator="\n")
        write_json(self.folder / SUMMARY, self.summary())
        if self.kinds is not None:
            self.kinds.write(self.folder)

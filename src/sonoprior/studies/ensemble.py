"""The folds of a study as one model: where all of them share the test part, their probabilities are averaged.

One ensemble for each variant and seed: the mean over folds of the probabilities that the folds' networks give
a case. Its metrics are averaged over seeds, with intervals that draw patients or duplicate groups, and
compared with the ensemble of the variant that the study compares with, seed by seed, as in `results`.
`load_ensemble` in `training.ensemble` uses the same networks on new images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sonoprior.core.checks import listed
from sonoprior.core.errors import FolderError
from sonoprior.core.folder import require, whole_file, write_json
from sonoprior.metrics import SCALARS, Interval, Pair, Sample, averaged, paired_difference
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe, take_variant

from .finished import FinishedRun, Predictions, is_finished
from .layout import FORMAT, KIND, RECIPE, planned_runs

TABLE, SUMMARY = "ensemble.csv", "ensemble.json"


@dataclass(frozen=True)
class EnsembleOutcome:
    """One metric of a variant's ensembles on the test cases.

    Attributes:
        variant: its name.
        metric: a name of `SCALARS`.
        of_seeds: the number of each seed's ensemble.
        interval: their mean with its bounds.
        reference: the variant that it is compared with; none for what others are compared with.
        difference: to the reference's ensembles, with its bounds; none without a seed in common.
    """

    variant: str
    metric: str
    of_seeds: Sequence[float]
    interval: Interval
    reference: str | None
    difference: Interval | None

    def row(self) -> dict[str, Any]:
        """The row of `ensemble.csv`."""
        of = self.difference or Interval(np.nan, np.nan, np.nan)
        return {
            "variant": self.variant,
            "metric": self.metric,
            **self.interval._asdict(),
            "std": float(np.std(self.of_seeds, ddof=1)) if len(self.of_seeds) > 1 else np.nan,
            "seeds": len(self.of_seeds),
            "against": self.reference or "",
            "difference": of.value,
            "difference_low": of.low,
            "difference_high": of.high,
        }


def refuse_what_has_no_ensemble(recipe: Recipe) -> None:
    """Say before training that no ensemble can be made.

    Raises:
        FolderError: if the protocol has one fold, or gives every fold its own test cases, or if a variant
            gives no class probabilities.
    """
    if recipe.split.protocol != "fixed_test":
        raise FolderError(
            "an ensemble averages folds that share their test part, as those of the protocol fixed_test do,"
            f" but the protocol of {recipe.name} is {recipe.split.protocol}; leave --ensemble away."
        )
    taken = {name: take_variant(recipe, name) for name in recipe.study.variants}
    deciding = [name for name, of in taken.items() if of.decides]
    if deciding:
        raise FolderError(
            f"an ensemble averages class probabilities, but {listed(deciding)} of {recipe.name} decides on"
            " each class by thresholds of its own fold; leave --ensemble away."
        )
    silent = [name for name, of in taken.items() if not of.classifies]
    if silent:
        raise FolderError(
            f"an ensemble averages class probabilities, but {listed(silent)} of {recipe.name} embeds without"
            " a classifier; leave --ensemble away, or set model.embedding.logits."
        )


def write_ensemble(study: Path) -> list[EnsembleOutcome]:
    """Average the folds of a study, and write `ensemble.csv` and `ensemble.json` beside its other results.

    Returns:
        every metric of every variant of which at least one seed has finished on all folds.

    Raises:
        FolderError: if the folds have different test cases, or no seed has finished on all folds.
    """
    require(study, KIND, FORMAT)
    recipe = load_recipe(study / RECIPE)
    refuse_what_has_no_ensemble(recipe)
    outcomes = _outcomes(recipe, _ensembles(study, recipe))
    with whole_file(study / TABLE) as temporary:
        pd.DataFrame([one.row() for one in outcomes]).to_csv(temporary, index=False)
    write_json(study / SUMMARY, {"folds": recipe.split.count, "variants": _by_variant(outcomes)})
    return outcomes


def _ensembles(study: Path, recipe: Recipe) -> dict[str, dict[int, Predictions]]:
    """The averaged predictions of each variant by seed."""
    folds: dict[tuple[str, int], list[Path]] = {}
    for run in planned_runs(recipe):
        if is_finished(run.folder(study)):
            folds.setdefault((run.variant, run.seed), []).append(run.folder(study))
    found: dict[str, dict[int, Predictions]] = {}
    for variant in recipe.study.variants:
        for seed in range(recipe.study.seeds):
            folders = folds.get((variant, seed), [])
            if len(folders) == recipe.split.count:
                found.setdefault(variant, {})[seed] = mean_predictions(folders)
    if not found:
        raise FolderError(f"{study} holds no variant and seed that has finished on all folds yet.")
    return found


def mean_predictions(folders: Sequence[Path]) -> Predictions:
    """The mean of what several runs said of the same test cases.

    Raises:
        FolderError: if they were tested on different cases.
    """
    first, *others = [FinishedRun.read(folder).predictions("test") for folder in folders]
    for folder, other in zip(folders[1:], others, strict=True):
        if not np.array_equal(first.cases, other.cases):
            raise FolderError(
                f"an ensemble averages runs that share their test cases, but {folder} was tested on others"
                f" than {folders[0]}."
            )
    probabilities = np.mean([one.probabilities for one in [first, *others]], axis=0)
    return Predictions(first.cases, first.groups, first.labels, probabilities)


def _outcomes(recipe: Recipe, ensembles: Mapping[str, Mapping[int, Predictions]]) -> list[EnsembleOutcome]:
    return [
        _outcome(recipe, ensembles, variant, metric) for metric in _metrics(recipe) for variant in ensembles
    ]


def _metrics(recipe: Recipe) -> list[str]:
    """The primary one first."""
    return sorted(SCALARS, key=lambda name: name != recipe.study.primary)


def _outcome(
    recipe: Recipe, ensembles: Mapping[str, Mapping[int, Predictions]], variant: str, metric: str
) -> EnsembleOutcome:
    statistic, own = SCALARS[metric], ensembles[variant]
    reference = recipe.study.reference(variant)
    other = ensembles.get(reference, {}) if reference else {}
    pairs = [
        Pair(own[seed].groups, (own[seed].labels,), own[seed].probabilities, other[seed].probabilities)
        for seed in own
        if seed in other
    ]
    samples = [Sample(of.groups, (of.labels, of.probabilities)) for of in own.values()]
    return EnsembleOutcome(
        variant=variant,
        metric=metric,
        of_seeds=[statistic(of.labels, of.probabilities) for of in own.values()],
        interval=averaged(statistic, samples),
        reference=reference if pairs else None,
        difference=paired_difference(statistic, pairs) if pairs else None,
    )


def _by_variant(outcomes: Sequence[EnsembleOutcome]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in outcomes:
        told = {key: value for key, value in one.row().items() if key not in {"variant", "metric"}}
        plain = {key: None if value != value else value for key, value in told.items()}  # noqa: PLR0124 (NaN)
        found.setdefault(one.variant, {})[one.metric] = plain
    return found

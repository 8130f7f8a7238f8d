"""The study folder: which runs belong to a study or to a tuning, and where each of them lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sonoprior.core.errors import RecipeError
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import take_variant, with_settings
from sonoprior.training.tune_settings import TuneSettings

KIND, TUNING, FORMAT = "study", "tuning", 1
RECIPE, RESULTS, SUMMARY, REPORT = "recipe.yaml", "results.csv", "summary.json", "report.html"
SPLITS, TRIED = "splits.csv", "tried.csv"


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study: a variant on one fold with one seed; while it is tuned, with one setting.

    Attributes:
        variant: its name.
        fold: from 0.
        seed: from 0.
        setting: the number, from 0, of what tuning tries; none outside tuning.
    """

    variant: str
    fold: int
    seed: int
    setting: int | None = None

    @property
    def name(self) -> str:
        """How messages and reports call it."""
        tried = "" if self.setting is None else f", setting {self.setting}"
        return f"{self.variant}{tried}, fold {self.fold}, seed {self.seed}"

    def folder(self, study: Path) -> Path:
        """Where it lies: runs/<variant>/fold<k>-seed<s>; while it is tuned, in setting<n> of its variant."""
        of_variant = study / "runs" / self.variant
        inside = of_variant if self.setting is None else of_variant / f"setting{self.setting}"
        return inside / f"fold{self.fold}-seed{self.seed}"

    def recipe(self, study: Recipe) -> Recipe:
        """The settings that it trains with."""
        if self.setting is None:
            return take_variant(study, self.variant, self.fold)
        tried = tuning_of(study).tried(self.variant)[self.setting]
        settings = study.study.variants[self.variant] | tried
        return with_settings(study, settings, f"{study.name}, {self.name}")


def planned_runs(recipe: Recipe) -> Sequence[PlannedRun]:
    """All runs of a study: for every seed and fold all variants, so that a part of it can be compared."""
    return [
        PlannedRun(variant, fold, seed)
        for seed in range(recipe.study.seeds)
        for fold in range(recipe.split.count)
        for variant in recipe.study.variants
    ]


def planned_trials(recipe: Recipe) -> Sequence[PlannedRun]:
    """All runs of a tuning: for every seed and fold all variants with all that each of them tries.

    Raises:
        RecipeError: if the recipe does not say what to try.
    """
    tuning = tuning_of(recipe)
    return [
        PlannedRun(variant, fold, seed, setting)
        for seed in range(tuning.seeds)
        for fold in range(recipe.split.count)
        for variant in recipe.study.variants
        for setting in range(tuning.budget)
    ]


def tuning_of(recipe: Recipe) -> TuneSettings:
    """What a recipe tries.

    Raises:
        RecipeError: if it does not say.
    """
    if recipe.tune is None:
        raise RecipeError(
            f"{recipe.name} has nothing to tune: its key `tune` is missing; give it a budget and a grid, such"
            " as {budget: 3, grid: {training.learning_rate: [3.0e-4, 1.0e-3, 3.0e-3]}}."
        )
    return recipe.tune

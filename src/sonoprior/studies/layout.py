"""The study folder: which runs belong to a study, and where each of them lies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sonoprior.training.recipe import Recipe

KIND, FORMAT = "study", 1
RECIPE, RESULTS, SUMMARY, REPORT = "recipe.yaml", "results.csv", "summary.json", "report.html"


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study: a variant on one fold with one seed."""

    variant: str
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """How messages and reports call it."""
        return f"{self.variant}, fold {self.fold}, seed {self.seed}"

    def folder(self, study: Path) -> Path:
        """Where it lies: runs/<variant>/fold<k>-seed<s>."""
        return study / "runs" / self.variant / f"fold{self.fold}-seed{self.seed}"


def planned_runs(recipe: Recipe) -> Sequence[PlannedRun]:
    """All runs of a study: for every seed and fold all variants, so that a part of it can be compared."""
    return [
        PlannedRun(variant, fold, seed)
        for seed in range(recipe.study.seeds)
        for fold in range(recipe.split.count)
        for variant in recipe.study.variants
    ]

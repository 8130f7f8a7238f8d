"""Tuning: every variant tries as many settings as the baseline, and what validates best is chosen.

The test part takes no part: the folds of a tuning are stored without it, its runs never see a test case, and
neither a study nor a report can be made of its folder.

How a setting is chosen depends on the protocol. With a single split, a given split, an open set and a fixed
test part no fold tests what another one validates with, so one setting is chosen for all folds, by the mean
over folds and seeds. In a cross-evaluation the validation cases of one fold are test cases of others, and a
choice by the mean over folds would have seen every test case; so each fold chooses for itself, by its own
validation part.

The metric is that of the epoch whose weights were kept, which validation chose too. That flatters every
setting alike; the numbers are for choosing, and no result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.errors import FolderError, RecipeError
from sonoprior.core.folder import read_json, require, whole_file
from sonoprior.metrics import metric_named
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import load_recipe, validated, write_recipe
from sonoprior.training.run import METRICS, is_finished

from .layout import FORMAT, RECIPE, SPLITS, TRIED, TUNING, planned_trials, tuning_of
from .runs import Kind, Machines, train_runs
from .splits import read_splits

CHOSEN = "chosen.yaml"
_MAY_DIFFER = {"seeds"}


def _compared(recipe: Recipe) -> Mapping[str, Any]:
    content = recipe.content()
    tried = {key: value for key, value in content["tune"].items() if key not in _MAY_DIFFER}
    return {
        "tune": tried | {"metric": metric_of(recipe)},
        "study": {"variants": content["study"]["variants"]},
    }


TUNED = Kind(TUNING, FORMAT, planned_trials, tested=False, compared=_compared)


def run_tuning(
    recipe: Recipe,
    case_set: CaseSet,
    out: Path,
    on: Machines | None = None,
) -> dict[str, str]:
    """Train every trial of a tuning that is not finished yet, here if `on` is not given.

    Arguments and errors as in `train_runs`.

    Returns:
        The names of the runs that failed, each with its error. The others are finished.

    Raises:
        RecipeError: if the recipe has nothing to tune, or has been tuned already.
    """
    tuning_of(recipe)
    if recipe.study.chosen:
        raise RecipeError(
            f"{recipe.name} has been tuned already: its key study.chosen is not empty; tune the recipe that"
            " it came from, or empty that key."
        )
    return train_runs(TUNED, recipe, case_set, out, on or Machines())


@dataclass(frozen=True)
class Trials:
    """What every setting of a variant gave on validation.

    Attributes:
        variant: its name.
        settings: the S settings tried, as dotted keys, in the order of the grid.
        values: (S, folds, seeds) the metric of each run; NaN where it failed or the metric is not defined.
        chosen: the number of the chosen setting, one entry a fold, or a single one for all folds.
    """

    variant: str
    settings: Sequence[Mapping[str, Any]]
    values: NDArray[np.float64]
    chosen: Sequence[int]

    @property
    def chosen_settings(self) -> list[dict[str, Any]]:
        """What was chosen, as it stands in a recipe under `study.chosen`."""
        return [dict(self.settings[number]) for number in self.chosen]

    def chosen_on(self, fold: int) -> int:
        """The number of the setting that a fold takes."""
        return self.chosen[fold] if len(self.chosen) > 1 else self.chosen[0]

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `tried.csv`, one a run."""
        return [
            {"variant": self.variant, **setting, "fold": fold, "seed": seed}
            | {"value": self.values[at, fold, seed], "chosen": "yes" if at == self.chosen_on(fold) else ""}
            for at, setting in enumerate(self.settings)
            for fold, seed in np.ndindex(self.values.shape[1:])
        ]


@dataclass(frozen=True)
class Tuning:
    """A finished tuning.

    Attributes:
        folder: where it lies.
        recipe: what was asked.
        trials: what each variant tried, in the order of the variants.
    """

    folder: Path
    recipe: Recipe
    trials: Sequence[Trials]

    @staticmethod
    def read(folder: Path) -> "Tuning":
        """Read what was tried, and choose.

        Raises:
            FolderError: if it is no tuning folder, or every setting of a variant failed on a fold.
        """
        require(folder, TUNING, FORMAT)
        recipe = load_recipe(folder / RECIPE)
        return Tuning(folder, recipe, [_trials(folder, recipe, name) for name in recipe.study.variants])

    @property
    def metric(self) -> str:
        """What was compared on validation."""
        return metric_of(self.recipe)

    @property
    def chosen(self) -> Recipe:
        """The recipe with what was chosen, ready for a study."""
        content = self.recipe.content()
        content["study"]["chosen"] = {one.variant: one.chosen_settings for one in self.trials}
        content["quick"] = {}  # another form with folds of its own, for which nothing was chosen
        return validated(content, str(self.folder / CHOSEN))

    def table(self) -> pd.DataFrame:
        """Everything that was tried, one row a run.

        Columns: variant, the dotted keys that were tuned (empty where a variant does not tune one), fold,
        seed, value (empty where the run failed), chosen ("yes" where the fold took this setting).
        """
        rows = pd.DataFrame([row for one in self.trials for row in one.rows()])
        last = ["fold", "seed", "value", "chosen"]
        keys = [name for name in rows.columns if name not in {"variant", *last}]
        return rows.reindex(columns=["variant", *keys, *last])

    def write(self) -> None:
        """Write `tried.csv`, and `chosen.yaml`, which marks the tuning as finished."""
        with whole_file(self.folder / TRIED) as temporary:
            self.table().to_csv(temporary, index=False)
        write_recipe(self.folder / CHOSEN, self.chosen)

    def summary(self) -> dict[str, Any]:
        """What was chosen, for programs."""
        return {
            "metric": self.metric,
            "variants": {
                one.variant: {"tried": len(one.settings), "chosen": one.chosen_settings}
                for one in self.trials
            },
        }

    def lines(self) -> list[str]:
        """One line a variant: what was chosen, what it gave on validation, and how many were tried."""
        return [self._line(one) for one in self.trials]

    def _line(self, one: Trials) -> str:
        chosen = [self._said(one, fold) for fold in range(len(one.chosen))]
        return f"{one.variant}: {'; '.join(chosen)}; {len(one.settings)} tried"

    def _said(self, one: Trials, fold: int) -> str:
        at = one.chosen_on(fold)
        alone = len(one.chosen) > 1
        value = float((one.values[at, fold] if alone else one.values[at]).mean())
        setting = ", ".join(f"{key}={value}" for key, value in one.settings[at].items())
        return f"{f'fold {fold}: ' if alone else ''}{setting} ({value:.3f})"


def metric_of(recipe: Recipe) -> str:
    """The metric that tuning compares: its own, or the primary one of the study."""
    return tuning_of(recipe).metric or recipe.study.primary


def read_chosen(tuned: Path, case_set: CaseSet, seeds: int | None = None) -> Recipe:
    """The recipe that a finished tuning chose.

    Args:
        tuned: the tuning folder.
        case_set: the cases that were tuned on.
        seeds: of the study; as many as the recipe says, if not given.

    Raises:
        FolderError: if the folder is no tuning, is not finished, or was tuned on other cases.
    """
    require(tuned, TUNING, FORMAT)
    if not (tuned / CHOSEN).is_file():
        raise FolderError(f"{tuned} is not finished: it has no {CHOSEN}; run `sonoprior tune` again first.")
    read_splits(tuned / SPLITS, case_set)
    return load_recipe(tuned / CHOSEN, changes=[] if seeds is None else [f"study.seeds={seeds}"])


def _trials(folder: Path, recipe: Recipe, variant: str) -> Trials:
    tuning = tuning_of(recipe)
    values = np.full((tuning.budget, recipe.split.count, tuning.seeds), np.nan)
    for run in planned_trials(recipe):
        if run.variant == variant and is_finished(run.folder(folder)):
            found = read_json(run.folder(folder) / METRICS)["validation"][metric_of(recipe)]["value"]
            values[run.setting, run.fold, run.seed] = np.nan if found is None else found
    return Trials(variant, tuning.tried(variant), values, _choose(values, recipe, variant))


def _choose(values: NDArray[np.float64], recipe: Recipe, variant: str) -> list[int]:
    """The best setting for all folds, or for each; of equals the one that stands first in the grid."""
    better = values if metric_named(metric_of(recipe)).higher_is_better else -values
    alone = recipe.split.protocol == "cross_evaluation"
    scores = better.mean(axis=2) if alone else better.mean(axis=(1, 2))[:, None]  # (S, folds) or (S, 1)
    if np.isnan(scores).all(axis=0).any():
        raise FolderError(
            f"nothing can be chosen for '{variant}': every setting that it tried failed"
            f"{' on a fold' if alone else ''} or has no {metric_of(recipe)}; widen its grid."
        )
    return [int(number) for number in np.nanargmax(scores, axis=0)]

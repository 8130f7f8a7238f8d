"""A finished run as it lies on disk, read without torch."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.cases.combinations import members_named
from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError, FolderError
from sonoprior.core.folder import read_json, require
from sonoprior.training.parts import read_table
from sonoprior.training.recipe import Recipe
from sonoprior.training.recipe_file import recipe_of_run
from sonoprior.training.retrieval_evaluation import measured_names, numbers_of

# What `sonoprior.training.run` writes, the metrics last; not imported from there: that comes with torch.
_METRICS, _WEIGHTS = "metrics.json", "weights.safetensors"
_KIND, _FORMAT = "run", 1
_PREDICTIONS, _RETRIEVAL = "predictions.csv", "retrieval.csv"
# What every run tells of itself, and what only those need to that are no plain classifier.
_NOT_IN_RUN_JSON = {"folder", "recipe"}
_OF_OTHERS = {"levels", "embeds", "classifies", "decides", "singles", "clusters"}


@dataclass(frozen=True)
class Cases:
    """The labelled cases of one part.

    Attributes:
        cases: (n,) ids.
        groups: (n,) patient, exam or duplicate group.
        labels: (n,) positions in the classes.
    """

    cases: NDArray[np.str_]
    groups: NDArray[np.str_]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cases)


@dataclass(frozen=True)
class Predictions:
    """What a run said of the labelled cases of one part.

    Attributes:
        cases: (n,) ids.
        groups: (n,) patient, exam or duplicate group.
        labels: (n,) positions in the classes.
        probabilities: (n, K).
    """

    cases: NDArray[np.str_]
    groups: NDArray[np.str_]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.cases)


@dataclass(frozen=True)
class Decisions:
    """What a run decided of each single class, in the labelled cases of one part.

    Attributes:
        cases: (n,) ids.
        groups: (n,) patient, exam or duplicate group.
        labels: (n,) positions in the classes, of which a label combination is one.
        shown: (n, C) bool, the single classes that each case shows.
        predicted: (n, C) bool, those that the run says it shows.
        confidence: (n,) how sure it is of the least certain one.
        clusters: (n,) the cluster of each case; None for a run without.
    """

    cases: NDArray[np.str_]
    groups: NDArray[np.str_]
    labels: NDArray[np.int64]
    shown: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    clusters: NDArray[np.int64] | None


def is_finished(folder: Path) -> bool:
    """Whether a run folder holds a run that is trained and measured."""
    return (folder / _METRICS).is_file()


@dataclass(frozen=True)
class FinishedRun:
    """A run that is trained and measured.

    Attributes:
        folder: the run folder.
        recipe: with the settings of its variant.
        variant: the name of its variant.
        fold: the number of its split.
        seed: of its draws.
        level: the label level.
        classes: the K classes, in the order of the probabilities.
        priors: names of the priors by which localisation was measured.
        case_set: the name of the data.
        simulated: whether the data are simulated.
        levels: the label levels at which an embedding was measured, the leaf's first, with their classes.
        embeds: whether it gives an embedding.
        classifies: whether it gives class probabilities.
        decides: whether it decides on every single class by itself, and so gives several or none.
        singles: the C single classes on which it decides.
        clusters: the number of clusters by which it does so; 0 for a run without.
    """

    folder: Path
    recipe: Recipe
    variant: str
    fold: int
    seed: int
    level: str
    classes: Sequence[str]
    priors: Sequence[str]
    case_set: str
    simulated: bool
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    embeds: bool = False
    classifies: bool = True
    decides: bool = False
    singles: Sequence[str] = ()
    clusters: int = 0

    @staticmethod
    def read(folder: Path) -> "FinishedRun":
        """Open a run folder.

        Raises:
            FolderError: if it is no run folder, is not finished, or is damaged.
        """
        require(folder, _KIND, _FORMAT)
        if not is_finished(folder):
            raise FolderError(f"{folder} is not finished: it has no {_METRICS}; resume its training first.")
        identity = read_json(folder / "run.json")
        told = [name for name in FinishedRun.__dataclass_fields__ if name not in _NOT_IN_RUN_JSON]
        needed = [name for name in told if name not in _OF_OTHERS]
        absent = [name for name in needed if name not in identity]
        if absent:
            raise FolderError(
                f"{folder / 'run.json'} must name {listed(needed)}, but lacks {listed(absent)}."
            )
        own = {name: identity[name] for name in told if name in identity}
        return FinishedRun(folder=folder, recipe=recipe_of_run(folder / "recipe.yaml"), **own)

    @property
    def by_clusters(self) -> bool:
        """Whether it decides by clusters: it has some, and no logits of classes."""
        return self.decides and self.clusters > 0 and not self.recipe.classifies

    @property
    def has_weights(self) -> bool:
        """Whether its weights still lie in its folder; everything else can be read without them."""
        return (self.folder / _WEIGHTS).is_file()

    @property
    def name(self) -> str:
        """Fold and seed, in words."""
        return f"fold {self.fold}, seed {self.seed}"

    @cached_property
    def _predictions(self) -> pd.DataFrame:
        classes = self.singles if self.decides else self.classes if self.classifies else ()
        given = ["confidence", *(f"p.{name}" for name in classes)] if classes else []
        return self._table(_PREDICTIONS, given + (["cluster"] if self.by_clusters else []))

    def measured(self, part: str = "test") -> Cases:
        """The cases of a part that the run was measured on; empty if it has no such part.

        Raises:
            FolderError: if the file is damaged.
        """
        if part not in self._read_cases:
            self._read_cases[part] = self._cases_of(part)
        return self._read_cases[part]

    @cached_property
    def _read_cases(self) -> dict[str, Cases]:
        return {}

    def _cases_of(self, part: str) -> Cases:
        table = _part(self._predictions, part)
        place = {name: number for number, name in enumerate(self.classes)}
        labels = [str(label) for label in table["label"]]
        unknown = sorted(set(labels) - set(place))
        if unknown:
            raise FolderError(
                f"{self.folder / _PREDICTIONS}: a label must be one of {listed(self.classes)},"
                f" but got '{unknown[0]}'."
            )
        return Cases(
            cases=np.array(table["case"], dtype=np.str_),
            groups=np.array(table["group"], dtype=np.str_),
            labels=np.array([place[label] for label in labels], dtype=np.int64),
        )

    def predictions(self, part: str = "test") -> Predictions:
        """What the run said of the cases of a part; empty if it has no such part.

        Raises:
            FolderError: if the file is damaged, or the run does not classify.
        """
        if part not in self._read_parts:
            self._read_parts[part] = self._read_part(part)
        return self._read_parts[part]

    @cached_property
    def _read_parts(self) -> dict[str, Predictions]:
        return {}

    def _read_part(self, part: str) -> Predictions:
        if not self.classifies:
            raise FolderError(
                f"{self.folder} holds an embedding without a classifier, so it predicts nothing."
            )
        of, columns = self.measured(part), [f"p.{name}" for name in self.classes]
        given = _part(self._predictions, part).loc[:, columns].to_numpy(np.float64)
        return Predictions(of.cases, of.groups, of.labels, given)

    def decisions(self, part: str = "test") -> Decisions:
        """What the run decided of the cases of a part; empty if it has no such part.

        Raises:
            FolderError: if the file is damaged, or the run does not decide on single classes.
        """
        if part not in self._read_decisions:
            self._read_decisions[part] = self._decisions_of(part)
        return self._read_decisions[part]

    @cached_property
    def _read_decisions(self) -> dict[str, Decisions]:
        return {}

    def _decisions_of(self, part: str) -> Decisions:
        if not self.decides:
            raise FolderError(f"{self.folder} does not decide on single classes, so it has no decisions.")
        of, table = self.measured(part), _part(self._predictions, part)
        self._check_columns(_PREDICTIONS, table, ["predicted"])
        try:
            shown, predicted = (members_named(table[name], self.singles) for name in ("label", "predicted"))
        except DataError as error:
            raise FolderError(f"{self.folder / _PREDICTIONS}: {error}") from error
        return Decisions(
            cases=of.cases,
            groups=of.groups,
            labels=of.labels,
            shown=shown,
            predicted=predicted,
            confidence=np.array(table["confidence"], np.float64),
            clusters=np.array(table["cluster"], np.int64) if self.by_clusters else None,
        )

    @cached_property
    def _localisation(self) -> pd.DataFrame:
        return self._table("localisation.csv", ["inside", "pointing", "correlation", "area"])

    def localisation(self, part: str = "test") -> pd.DataFrame:
        """One row for each case and prior that is present and not empty: case, label, prior, measures.

        Raises:
            FolderError: if the file is damaged.
        """
        return _part(self._localisation, part)

    @cached_property
    def _retrieval(self) -> pd.DataFrame:
        table = self._table(_RETRIEVAL, [])
        self._check_columns(_RETRIEVAL, table, ["case", "part", "group", "nearest"])
        return self._with_numbers(_RETRIEVAL, table, numbers_of(table.columns))

    def retrieval(self, part: str = "test") -> pd.DataFrame:
        """What each case of a part found, as `training.retrieval_evaluation.retrieval_table` gives it.

        Raises:
            FolderError: if the run has no embedding, or the file is damaged.
        """
        return _part(self._retrieval, part)

    @property
    def looked_by(self) -> tuple[object, ...]:
        """What its looking was measured by: the outlines, the layer, and how attribution is taken there."""
        recipe = self.recipe
        taken = (recipe.attribution.method, recipe.attribution.allocation, recipe.attributed)
        return (*self.priors, recipe.model.tap, *taken)

    @property
    def found(self) -> list[str]:
        """The metrics of its embedding.

        Raises:
            FolderError: as `retrieval`.
        """
        return measured_names(self._retrieval.columns)

    @cached_property
    def log(self) -> pd.DataFrame:
        """One row an epoch, all numbers.

        Raises:
            FolderError: if the file is damaged.
        """
        return self._table("log.csv", ["epoch"], every=True)

    @cached_property
    def part_sizes(self) -> Mapping[str, int]:
        """How many cases each part of its split holds.

        Raises:
            FolderError: if the file is missing or damaged.
        """
        return dict(Counter(self._table("split.csv", [])["part"].tolist()))

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, device and threads; not where its cases lay, since a report travels further than that."""
        kept = read_json(self.folder / "environment.json")
        return {name: value for name, value in kept.items() if name != "case_set"}

    def _table(self, file: str, numbers: Sequence[str], every: bool = False) -> pd.DataFrame:
        """A table of the folder with some, or all, columns as numbers; an empty cell is NaN."""
        table = read_table(self.folder / file)
        self._check_columns(file, table, numbers)
        return self._with_numbers(file, table, list(table.columns) if every else numbers)

    def _check_columns(self, file: str, table: pd.DataFrame, names: Sequence[str]) -> None:
        absent = [name for name in names if name not in table]
        if absent:
            raise FolderError(f"{self.folder / file} must have the column '{absent[0]}', but lacks it.")

    def _with_numbers(self, file: str, table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
        try:
            return table.assign(**{name: _numbers(table[name]) for name in names})
        except ValueError as error:
            raise FolderError(
                f"{self.folder / file} must hold numbers in {listed(names)}: {error}."
            ) from error


def _part(table: pd.DataFrame, part: str) -> pd.DataFrame:
    return table.loc[np.asarray(table["part"]) == part]


def _numbers(column: Iterable[str]) -> NDArray[np.float64]:
    return np.array([float(cell) if cell else np.nan for cell in column], dtype=np.float64)

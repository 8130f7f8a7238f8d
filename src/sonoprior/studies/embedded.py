"""What a run folder keeps of an embedding: the embedded cases and the classes they are of. Free of torch."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.core.checks import listed
from sonoprior.core.errors import FolderError
from sonoprior.metrics.neighbours import prepared

from .finished import FinishedRun

Texts = NDArray[np.str_]
Floats = NDArray[np.float32]

EMBEDDINGS, LANGUAGE, RETRIEVAL = "embeddings.safetensors", "language.safetensors", "retrieval.csv"
_PARTS = ("validation", "test")


@dataclass(frozen=True)
class EmbeddedCases:
    """The measured cases of one part.

    Attributes:
        cases: (n,) ids.
        groups: (n,) patient, exam or group of duplicates; None where a case is in none.
        labels: by level (n,) names of classes, empty where unknown; the leaf's level first.
        nearest: (n,) ids of the nearest cases as they were measured, empty where there is none.
        answerable: (n,) whether there is another case of the query's class that could have been found.
        how_wrong: (n,) distance in the ontology of the nearest case's class, NaN where that is right.
        embeddings: (n, d) of length 1.
    """

    cases: Texts
    groups: NDArray[np.object_]
    labels: Mapping[str, Texts]
    nearest: Texts
    answerable: NDArray[np.bool_]
    how_wrong: NDArray[np.float64]
    embeddings: Floats

    def __len__(self) -> int:
        return len(self.cases)


@dataclass(frozen=True)
class Lineage:
    """What the classes of a run's lowest level are of, one level up.

    Attributes:
        level: the lowest level, the leaf's.
        up: the level above it, empty where the run has no hierarchy.
        parent: class to its class one level up.
    """

    level: str
    up: str
    parent: Mapping[str, str]


def levels_of(run: FinishedRun) -> dict[str, list[str]]:
    """The classes of every level that was measured, the leaf's level first.

    Raises:
        FolderError: if the run does not say.
    """
    if not run.levels:
        raise FolderError(f"{run.folder / 'run.json'} must name the classes of levels, but names none.")
    return {level: list(names) for level, names in run.levels.items()}


def embedded(run: FinishedRun, part: str = "test") -> EmbeddedCases:
    """The embedded cases of a part.

    Raises:
        FolderError: if a file is missing or damaged, or holds other cases than another one.
        DataError: if an embedding is zero or not finite.
    """
    table = _retrieval(run, part)
    stored = _tensors(run.folder / EMBEDDINGS).get(part)
    if stored is None or len(stored) != len(table):
        came = "none" if stored is None else len(stored)
        raise FolderError(
            f"{run.folder / EMBEDDINGS} must hold an embedding for each of the {len(table)} cases of part"
            f" '{part}' in {RETRIEVAL}, but holds {came}."
        )
    levels = levels_of(run)
    leaf = next(iter(levels))
    wrong = table.get(f"how_wrong.{leaf}", pd.Series(np.nan, index=table.index))
    return EmbeddedCases(
        cases=np.array(table["case"], dtype=np.str_),
        groups=np.array([group or None for group in table["group"]], dtype=object),
        labels={level: np.array(table[f"label.{level}"], dtype=np.str_) for level in levels},
        nearest=np.array(table["nearest"], dtype=np.str_),
        answerable=table[f"recall@1.{leaf}"].notna().to_numpy(),
        how_wrong=np.asarray(wrong, dtype=np.float64),
        embeddings=prepared(stored, "cosine") if len(stored) else np.asarray(stored, np.float32),
    )


def lineage(run: FinishedRun) -> Lineage:
    """The classes of a run and their place in its hierarchy, read off the labels of its cases.

    Raises:
        FolderError: if a file is missing or damaged.
    """
    levels = _hierarchy(run)
    if len(levels) == 1:
        return Lineage(levels[0], "", {})
    return Lineage(levels[0], levels[1], _above(_every_case(run), levels[0], levels[1]))


def classes_and_metas(run: FinishedRun, level: str) -> tuple[list[str], list[str]]:
    """The classes of a level, cousins side by side, and what each is of at the hierarchy's highest level.

    That is empty where it is unknown, and for every class of the highest level and of levels that are not in
    the hierarchy.

    Raises:
        FolderError: if a file is missing or damaged.
    """
    every, hierarchy = levels_of(run), _hierarchy(run)
    top = hierarchy[-1]
    if level not in hierarchy or level == top:
        return every[level], [""] * len(every[level])
    meta = _above(_every_case(run), level, top)
    order = {name: place for place, name in enumerate(every[top])}
    classes = sorted(every[level], key=lambda name: order.get(meta.get(name, ""), len(order)))
    return classes, [meta.get(name, "") for name in classes]


def language(run: FinishedRun, level: str) -> Floats | None:
    """The similarity (C, C) of the classes of a level on the side of the text; None where the run has none.

    Raises:
        FolderError: if the file is damaged.
    """
    path = run.folder / LANGUAGE
    return _tensors(path).get(level) if path.is_file() else None


def _hierarchy(run: FinishedRun) -> list[str]:
    """The levels of the hierarchy, lowest first; without one the level that was learnt."""
    settings = run.recipe.hierarchy
    every = list(levels_of(run))
    return [level for level in settings.levels if level in every] if settings else every[:1]


def _every_case(run: FinishedRun) -> pd.DataFrame:
    return pd.concat([_retrieval(run, part) for part in _PARTS])


def _above(table: pd.DataFrame, level: str, higher: str) -> dict[str, str]:
    """Each class's class at a higher level: of a case with both known, the one that most cases have."""
    counts: dict[str, Counter[str]] = {}
    for low, high in zip(table[f"label.{level}"], table[f"label.{higher}"], strict=True):
        if low and high:
            counts.setdefault(str(low), Counter())[str(high)] += 1
    return {low: found.most_common(1)[0][0] for low, found in counts.items()}


def _retrieval(run: FinishedRun, part: str) -> pd.DataFrame:
    table = run.retrieval(part)
    leaf, *_ = levels = levels_of(run)
    needed = ["case", "group", "nearest", f"recall@1.{leaf}", *(f"label.{level}" for level in levels)]
    absent = [name for name in needed if name not in table]
    if absent:
        raise FolderError(
            f"{run.folder / RETRIEVAL} must have the columns {listed(needed)}, but lacks {listed(absent)}."
        )
    return table


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise FolderError(f"{path} cannot be read: {error}.") from error

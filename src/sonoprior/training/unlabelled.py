"""Which cases the streams beside the labelled one read, and how: their views, their order, what is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.loading.batch import TRUTH
from sonoprior.cases.loading.cache import Cache
from sonoprior.cases.loading.exam_batches import ExamBatches, exam_numbers
from sonoprior.cases.loading.loader import Loader
from sonoprior.cases.loading.view_loader import ViewLoader
from sonoprior.core.checks import listed, one_of
from sonoprior.core.errors import DataError, RecipeError
from sonoprior.core.randomness import derived_seed, generator
from sonoprior.objectives.base import ViewsObjective

from .experiment import Weighted
from .parts import CALIBRATION, Parts, training_side
from .pretraining import pretraining_parts
from .recipe import LABELLED, Recipe
from .recipe_file import pretraining_recipe
from .stream_settings import StreamSettings
from .task import Task

Positions = NDArray[np.int64]
_NONE = np.empty(0, np.int64)
_FEWEST = 2


@dataclass(frozen=True)
class StreamCases:
    """The cases of one stream.

    Attributes:
        cache: the pixels of the case set that they belong to.
        positions: (n,) in that set.
        labels: by level (N,) of that set, -1 where a label is unknown or must not be learnt from; `TRUTH` in
            place of a level for those that are known and must not.
    """

    cache: Cache
    positions: Positions
    labels: Mapping[str, Positions]


def stream_cases(
    recipe: Recipe, cache: Cache, parts: Parts, task: Task, folder: Path | None
) -> dict[str, StreamCases]:
    """The cases of every stream that the objectives read, but for the labelled one.

    Args:
        recipe: names the streams.
        cache: of the run's own case set.
        parts: of the run.
        task: its labels.
        folder: where the pixels of other case sets are kept.

    Raises:
        DataError: if a stream holds too few cases, or shares an exam or patient with those measured.
    """
    check_streams(recipe, cache.case_set, parts)
    return {
        name: _training_side(recipe, name, cache, parts, task)
        if recipe.streams[name].cases is None
        else _own_set(recipe, name, task, folder)
        for name in _besides(recipe)
    }


def check_streams(recipe: Recipe, case_set: CaseSet, parts: Parts) -> None:
    """Refuse streams that cannot be read, or hold what is measured, before anything is written.

    Those of the run before are held to what this one measures: its backbone would have seen it.

    Args:
        recipe: names the streams.
        case_set: the run's own.
        parts: of the run.

    Raises:
        DataError: naming the exams or patients that are measured too, or the number of cases if there are
            too few.
    """
    _check_streams(recipe, case_set, parts, parts)
    if name := recipe.pretrained_with:
        before, its_parts = pretraining_recipe(recipe, name), pretraining_parts(parts)
        _check_streams(before, case_set, its_parts, parts, f" for the run before, '{name}'")


def _check_streams(
    recipe: Recipe, case_set: CaseSet, parts: Parts, measured: Parts, reader: str = ""
) -> None:
    for name in _besides(recipe):
        settings = recipe.streams[name]
        if settings.cases is None:
            read = _read(recipe, name, case_set, _of_the_side(settings, parts))
        else:
            other = CaseSet.open(settings.cases)
            check_apart(f"streams.{name}.cases ({other.root})", other, case_set, measured)
            read = _read(recipe, name, other, np.arange(len(other)))
        if len(read) < _FEWEST:
            raise DataError(
                f"streams.{name} must hold at least {_FEWEST} cases{reader}, because batch normalisation has"
                f" no statistics of fewer, but holds {len(read)}."
            )


def check_apart(
    what: str,
    case_set: CaseSet,
    measured_set: CaseSet,
    parts: Parts,
    columns: Sequence[str] = ("exam", "patient"),
) -> None:
    """Refuse cases that come from an exam or patient that is measured, by the names in both tables.

    Args:
        what: the cases, for the message.
        case_set: theirs.
        measured_set: the run's own.
        parts: of the run; "validation", "test" and "calibration" are measured.
        columns: what the two must not share.

    Raises:
        DataError: with the names.
    """
    measured = np.concatenate([parts.get(part, _NONE) for part in ("validation", "test", CALIBRATION)])
    for column in columns:
        theirs = {name for name in case_set.column(column) if name}
        ours = {name for name in measured_set.column(column)[measured] if name}
        if shared := sorted(theirs & ours):
            raise DataError(
                f"{what} must hold no {column} of the parts that are measured, or what is measured would"
                f" have been seen, but it shares {len(shared)}: {listed(shared, 8)}."
            )


def _besides(recipe: Recipe) -> list[str]:
    return [name for name in recipe.streams_read if name != LABELLED]


def _of_the_side(settings: StreamSettings, parts: Parts) -> Positions:
    return parts["train"] if settings.read == "labelled" else training_side(parts)


def _read(recipe: Recipe, name: str, case_set: CaseSet, positions: Positions) -> Positions:
    settings = recipe.streams[name]
    for column, values in settings.only.items():
        found = case_set.column(column)
        there = sorted({value for value in found if value is not None})
        for value in values:
            what = f"streams.{name}.only: {column} of {case_set.root}"
            one_of(what, value, there or ["nothing"], DataError)
        positions = positions[np.array([value in values for value in found[positions]], np.bool_)]
    return _share(positions, case_set.groups()[positions], settings.share, recipe.split.seed)


def _training_side(recipe: Recipe, name: str, cache: Cache, parts: Parts, task: Task) -> StreamCases:
    """The training side of the run's own set, those without a label that may be learnt from included."""
    used = np.zeros(len(cache.case_set), np.bool_)
    used[parts["train"]] = True
    labels = {level: np.where(used, of, -1) for level, of in task.labels.items()}
    hidden = np.where(used, -1, task.labels[task.level])
    side = _of_the_side(recipe.streams[name], parts)
    read = _read(recipe, name, cache.case_set, side)
    return StreamCases(cache, read, labels | {TRUTH: hidden})


def _own_set(recipe: Recipe, name: str, task: Task, folder: Path | None) -> StreamCases:
    """A case set of the stream's own; whatever labels it has are not those of the run."""
    settings = recipe.streams[name]
    assert settings.cases is not None
    if folder is None:
        raise RecipeError(f"streams.{name}.cases needs a folder for the decoded pixels, but there is none.")
    cache = Cache.build(CaseSet.open(settings.cases), folder, size=recipe.data.size, priors=None)
    unknown = np.full(len(cache.case_set), -1)
    read = _read(recipe, name, cache.case_set, np.arange(len(unknown)))
    return StreamCases(cache, read, dict.fromkeys([*task.labels, TRUTH], unknown))


def _share(positions: Positions, groups: NDArray[np.str_], share: float, seed: int) -> Positions:
    """The cases of a share of the groups, at least of one; smaller shares are contained in larger ones."""
    if share == 1:
        return positions
    names = generator(seed, "stream share").permutation(np.unique(groups))
    return positions[np.isin(groups, names[: max(1, round(share * len(names)))])]


def unlabelled_stream(
    settings: StreamSettings, name: str, cases: StreamCases, same_sides: bool, seed: int, device: torch.device
) -> ViewLoader:
    """The batches of a stream: its views, each case with the label that may be learnt from, or -1.

    A stream of fewer cases than a batch gives all of them in each.

    Args:
        settings: of the stream.
        name: of the stream.
        cases: what it reads.
        same_sides: whether all views of a case are mirrored alike, see `tells_sides`.
        seed: of the run.
        device: where batches are wanted.

    Raises:
        DataError: if there are fewer exams than a batch needs.
    """
    exams = settings.sampling == "exams"
    loader = Loader(
        cases.cache,
        cases.positions,
        batch_size=settings.batch_size if exams else min(settings.batch_size, len(cases.positions)),
        sampling=ExamBatches(exam_numbers(cases.cache.case_set), settings.frames_per_exam)
        if exams
        else "shuffle",
        seed=derived_seed(seed, "stream", name),
        levels=cases.labels,
        drop_last=True,
        device=device,
    )
    return ViewLoader(loader, settings.specs, same_sides=same_sides)


def tells_sides(case_set: CaseSet, task: Task) -> bool:
    """Whether a mirror changes what some case is called."""
    sided = {name for pair in case_set.info.mirror for name in pair}
    return any(sided & set(names) for names in (*task.classes.values(), task.singles))


def check_views(recipe: Recipe, objectives: Weighted) -> None:
    """Refuse an objective whose stream does not have the views that it compares.

    Raises:
        RecipeError: naming both.
    """
    for name, (_, objective) in objectives.items():
        if not isinstance(objective, ViewsObjective):
            continue
        has = [] if objective.stream == LABELLED else list(recipe.streams[objective.stream].specs)
        if missing := [view for view in objective.views if view not in has]:
            raise RecipeError(
                f"objectives.{name} compares the views {listed(objective.views)}, but the stream"
                f" '{objective.stream}' has {listed(has) or 'one view'}, without {listed(missing)}; set"
                f" streams.{objective.stream}.views."
            )

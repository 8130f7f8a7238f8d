"""Batches of an epoch: which cases, in which order, moved how."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.cases.info import DatasetInfo
from sonoprior.core.checks import at_least, one_of, within
from sonoprior.core.errors import DataError, RecipeError

from .augment import Augmentation
from .batch import TRUTH, Batch
from .cache import Cache
from .class_batches import ClassBatches
from .exam_batches import ExamBatches
from .partners import label_partners, partners_above, prior_partners
from .prefetch import prefetched
from .raw import RawBatch, plain
from .sampling import SAMPLING, Positions, Sampling, balanced, repeats, shuffled
from .spec import AugmentSpec


class Loader:
    """Reads cases from a cache as batches, one of them made ahead in a background thread.

    What an epoch holds depends on the seed and the number of the epoch, never on what was read before; how
    an image is augmented depends on (seed, epoch, its position in the case set), and, where it is drawn
    several times in an epoch, on which time it is.

    Args:
        cache: the pixels.
        positions: (n,) which cases of the case set.
        batch_size: cases in a batch; the last one of an epoch may be smaller.
        augment: how to augment; None for the plain images of an evaluation.
        sampling: "shuffle": every case once, in another order each epoch; "balanced": as many draws, with
            replacement, every class of the first level equally often; "order": as in `positions`; or batches
            of whole classes of the first level (`ClassBatches`), or of a few frames of each of a few exams
            (`ExamBatches`).
        seed: the run's seed.
        levels: label levels to give, by name, or with the class (N,) of every case of the set where it is
            not the set's own; the default level where None.
        drop_last: leave out a last batch that is not full.
        device: where batches are wanted; augmentation runs there.

    Raises:
        DataError: if there are no cases, one is not in the case set, balancing finds no labels, or there are
            fewer exams than a batch needs.
        RecipeError: if a setting is out of range, or a mirror would need a class or prior that is missing.
    """

    def __init__(  # noqa: PLR0913 (each is one decision about an epoch, named at the call)
        self,
        cache: Cache,
        positions: Sequence[int] | NDArray[np.integer],
        *,
        batch_size: int,
        augment: AugmentSpec | None = None,
        sampling: Sampling | ClassBatches | ExamBatches = "shuffle",
        seed: int = 0,
        levels: Sequence[str] | Mapping[str, Positions] | None = None,
        drop_last: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self._cache, self._seed, self._device = cache, seed, device
        self._positions = _checked_positions(positions, len(cache.case_set))
        self._batch_size = at_least("batch_size", batch_size, 1, RecipeError)
        self._sampling = sampling
        if not isinstance(sampling, ClassBatches | ExamBatches):
            one_of("sampling", sampling, SAMPLING, RecipeError)
        self._whole_only = drop_last
        names = list(cache.case_set.info.levels)[:1] if levels is None else levels
        self._labels = dict(names) if isinstance(names, Mapping) else _own_labels(cache.case_set, names)
        if isinstance(sampling, ClassBatches) or sampling == "balanced":
            self._check_labelled()
        if len(self) == 0:
            raise RecipeError(
                f"batch_size must be at most {len(self._positions)}, the number of cases, where the last"
                f" batch is dropped, but got {batch_size}."
            )
        self._make = self.maker(augment)

    def __len__(self) -> int:
        """Batches in an epoch."""
        if isinstance(self._sampling, ClassBatches):
            return self._sampling.count(self._balancing(), self._batch_size)
        if isinstance(self._sampling, ExamBatches):
            return self._sampling.count(self._exams(self._sampling), self._batch_size, self._whole_only)
        whole, rest = divmod(len(self._positions), self._batch_size)
        return whole + (rest > 0 and not self._whole_only)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, counted from 0."""
        return prefetched(lambda part: self._make(self.read(*part), epoch), self.parts(epoch))

    def parts(self, epoch: int) -> Iterator[tuple[Positions, Positions]]:
        """For each batch of an epoch its cases, and how often the epoch has shown each of them before."""
        order = self._order(epoch)
        before = repeats(order)
        starts = range(0, len(self) * self._batch_size, self._batch_size)
        slices = (slice(start, start + self._batch_size) for start in starts)
        return ((order[part], before[part]) for part in slices)

    def read(self, positions: Positions, before: Positions) -> RawBatch:
        """One of the `parts` as the cache holds it."""
        cache = self._cache
        stored = cache.row[positions]
        return RawBatch(
            positions,
            before,
            images=self._tensor(cache.images[positions])[:, None],
            rows=self._tensor(np.flatnonzero(stored >= 0)),
            maps=self._tensor(cache.maps[stored[stored >= 0]]),
            present=self._tensor(cache.present[positions]),
            labels={level: self._tensor(labels[positions]) for level, labels in self._labels.items()},
        )

    def maker(
        self, augment: AugmentSpec | None, view: str = "", *, same_sides: bool = False
    ) -> Callable[[RawBatch, int], Batch]:
        """What makes of a raw batch and the number of its epoch a batch, augmented or plain.

        Args:
            augment: how to augment; None for the plain images.
            view: the name of the view, where several are made of the same raw batch.
            same_sides: whether all views of an image are mirrored alike.

        Raises:
            RecipeError: if a mirror would need a class or prior that is missing.
        """
        if augment is None:
            return lambda raw, _: plain(raw, self._cache.size)
        return self._augmenting(augment, view, same_sides)

    def _augmenting(self, spec: AugmentSpec, view: str, same_sides: bool) -> Augmentation:
        info, cache = self._cache.case_set.info, self._cache
        if spec.mirror == 0:
            info = info.model_copy(update={"mirror": []})
        labels = _mirrored(cache.case_set, info, self._labels)
        priors = prior_partners(info, cache.groups)
        return Augmentation(spec, cache.size, self._seed, labels, priors, self._device, view, same_sides)

    def _order(self, epoch: int) -> Positions:
        if self._sampling == "order":
            return self._positions
        if self._sampling == "shuffle":
            return shuffled(self._positions, self._seed, epoch)
        if isinstance(self._sampling, ClassBatches):
            drawn = self._sampling.epoch(self._balancing(), self._batch_size, self._seed, epoch)
            return self._positions[drawn.ravel()]
        if isinstance(self._sampling, ExamBatches):
            exams = self._exams(self._sampling)
            return self._positions[self._sampling.epoch(exams, self._batch_size, self._seed, epoch)]
        return balanced(self._positions, self._balancing(), self._seed, epoch)

    def _balancing(self) -> Positions:
        """Labels of the first level of the loader's cases, (n,)."""
        return next(iter(self._labels.values()))[self._positions]

    def _exams(self, sampling: ExamBatches) -> Positions:
        """Exams of the loader's cases, (n,)."""
        cases = len(self._cache.case_set)
        if len(sampling.exams) != cases:
            raise DataError(
                f"exams must be one number a case, {cases} in all, but there are {len(sampling.exams)}."
            )
        return sampling.exams[self._positions]

    def _check_labelled(self) -> None:
        if not self._labels:
            raise RecipeError("sampling by class needs a label level, but levels is empty.")
        if (self._balancing() < 0).all():
            raise DataError(
                f"sampling by class needs labels, but none of the {len(self._positions)} cases has a label of"
                f" the level '{next(iter(self._labels))}'."
            )

    def _tensor(self, array: NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array)).to(self._device)


def _mirrored(case_set: CaseSet, info: DatasetInfo, labels: Mapping[str, Positions]) -> dict[str, list[int]]:
    """By level the class of the mirrored image of each class; the first level is the one that is learnt.

    A level of which no label is known, as all of a set that brings none, asks nothing of the set.
    """
    learnt = next(iter(labels), "")

    def partners(level: str) -> list[int]:
        return label_partners(info, level, case_set.shown(level))

    def mirrored(level: str, of: Positions) -> list[int]:
        if not (of >= 0).any():
            return []
        if level in info.levels or level == TRUTH:
            return partners(learnt if level == TRUTH else level)
        return partners_above(level, labels[learnt], of, partners(learnt))

    return {level: mirrored(level, of) for level, of in labels.items()}


def _own_labels(case_set: CaseSet, levels: Sequence[str]) -> dict[str, Positions]:
    return {level: case_set.labels(level) for level in levels}


def _checked_positions(positions: Sequence[int] | NDArray[np.integer], cases: int) -> Positions:
    given = np.asarray(positions)
    if given.ndim != 1 or len(given) == 0 or given.dtype.kind not in "iu":
        came = f"{given.dtype} of shape {given.shape}"
        raise DataError(f"positions must be whole numbers, at least one in a row, but got {came}.")
    checked = given.astype(np.int64)
    for position in (checked.min(), checked.max()):
        within("positions", int(position), 0, cases - 1, DataError)
    return checked

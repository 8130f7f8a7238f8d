"""Intervals by a bootstrap over patients or duplicate groups, never over single images.

Images of one patient err together; drawing whole groups keeps that in the interval. The bounds are
percentiles (Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13; clusters: Field
and Welsh, Bootstrapping clustered data, JRSS B 69, 2007).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.checks import at_least, within
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import generator

from . import weighted

Floats = NDArray[np.float64]
Array = NDArray[Any]

# Weights of so many cases are held at once: 32 MB.
_CHUNK = 4_000_000


class Interval(NamedTuple):
    """A number with its bounds; the bounds are NaN where there are too few groups to say."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """True if both bounds lie on one side of zero."""
        return self.low > 0 or self.high < 0

    def plain(self) -> dict[str, float | None]:
        """Numbers for JSON, which knows no NaN."""
        return {name: None if np.isnan(value) else value for name, value in self._asdict().items()}


@runtime_checkable
class Weighted(Protocol):
    """A statistic that takes many weightings at once, as `classification.Scalar` does."""

    def __call__(self, *arrays: Any) -> float:
        """The number for arrays whose first axis is the cases."""
        ...

    def weighted(self, weights: Floats, *arrays: Any) -> Floats:
        """The numbers (B,) for weights (B, n)."""
        ...


Statistic = Weighted | Callable[..., float]


@dataclass(frozen=True)
class Resampled:
    """A number, and what it would have been with other draws of groups.

    Attributes:
        value: of the cases as they are.
        drawn: (samples,) of each resample, NaN where it is not defined.
        groups: how many groups were drawn from.
    """

    value: float
    drawn: Floats
    groups: int

    @property
    def tells(self) -> bool:
        """Whether there is enough to say how sure the number is."""
        return self.groups >= 2 and 2 * int((~np.isnan(self.drawn)).sum()) >= len(self.drawn)

    def interval(self, level: float = 0.95) -> Interval:
        """The percentile interval; NaN bounds where the resamples do not tell."""
        within("level", level, 0.0, 1.0)
        if not self.tells:
            return Interval(self.value, float("nan"), float("nan"))
        low, high = np.nanquantile(self.drawn, [(1 - level) / 2, (1 + level) / 2])
        return Interval(self.value, float(low), float(high))

    def p(self) -> float:
        """Two-sided p against zero: 1 minus the level of the widest interval that leaves zero out.

        Twice the share of resamples on the rarer side of zero, at least 2 / (samples + 1): no resample is
        never no chance (Davison and Hinkley, Bootstrap methods and their application, 1997, section 4.2).
        """
        if not self.tells:
            return float("nan")
        rarer = min((self.drawn <= 0).sum(), (self.drawn >= 0).sum())
        return min(1.0, 2 * (1 + int(rarer)) / (1 + int((~np.isnan(self.drawn)).sum())))

    def ratio(self, other: "Resampled") -> "Resampled":
        """This number over another that was drawn with the same groups and seed.

        Raises:
            DataError: if the other has another number of groups or of resamples.
        """
        if (self.groups, len(self.drawn)) != (other.groups, len(other.drawn)):
            raise DataError(
                f"a ratio must be of numbers with the same draws, but got {len(self.drawn)} of {self.groups}"
                f" groups and {len(other.drawn)} of {other.groups}."
            )
        return Resampled(float(_over(self.value, other.value)), _over(self.drawn, other.drawn), self.groups)


def _over(above: ArrayLike, below: ArrayLike) -> Floats:
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)


class Mean:
    """The mean of values (n,), of those that are defined (not NaN)."""

    def __call__(self, values: Array) -> float:
        """The mean; NaN where nothing is defined."""
        return float(self.weighted(np.ones((1, len(values))), values)[0])

    def weighted(self, weights: Floats, values: Array) -> Floats:
        """The means (B,) for weights (B, n)."""
        return weighted.mean(weights, values)


class _Difference:
    """A statistic of one model minus that of another on the same cases."""

    def __init__(self, statistic: Statistic) -> None:
        self.statistic = statistic
        # The two do not rise alike: the worse one rises more.
        self.rises_with_repeats = rises(statistic)

    def __call__(self, *arrays: Array) -> float:
        *shared, treated, baseline = arrays
        return self.statistic(*shared, treated) - self.statistic(*shared, baseline)

    def weighted(self, weights: Floats, *arrays: Array) -> Floats:
        *shared, treated, baseline = arrays
        first = _resampled(self.statistic, weights, (*shared, treated))
        return first - _resampled(self.statistic, weights, (*shared, baseline))


@dataclass(frozen=True)
class Sample:
    """The test cases of one run.

    Attributes:
        groups: (n,) the patient, exam or duplicate group of each case.
        arrays: what the statistic takes, each (n, ...).
    """

    groups: ArrayLike
    arrays: tuple[ArrayLike, ...]


@dataclass(frozen=True)
class Pair:
    """The same test cases as two models saw them: one fold and seed of a study.

    Attributes:
        groups: (n,) the patient, exam or duplicate group of each case.
        shared: arrays (n, ...) that both have, as the labels; may be empty.
        treated: (n, ...) what the model in question gave, as its probabilities.
        baseline: (n, ...) what the baseline gave.
    """

    groups: ArrayLike
    shared: tuple[ArrayLike, ...]
    treated: ArrayLike
    baseline: ArrayLike


def interval(
    statistic: Statistic,
    groups: ArrayLike,
    *arrays: ArrayLike,
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """A statistic of some cases with its bootstrap interval.

    Args:
        statistic: called with the arrays; one with a method `weighted` is many times faster.
        groups: (n,) the group of each case; groups are drawn whole.
        *arrays: each (n, ...).
        samples: how many resamples.
        seed: of the draws.
        level: share of the resamples between the bounds.

    Returns:
        value, low, high. Resamples for which the statistic is not defined (NaN) are left out; the
        bounds are NaN with one group only, or where more than half of the resamples are not defined.

    Raises:
        DataError: if an array has another number of cases than `groups`, or there is none.
    """
    return averaged(statistic, [Sample(groups, arrays)], samples, seed, level)


def paired_difference(
    statistic: Statistic,
    pairs: Sequence[Pair],
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Treated minus baseline, averaged over folds and seeds, with one interval over groups.

    The statistic's difference is taken in each pair on the pair's own cases, both models with the same
    resample of them, and treated as in `averaged`.

    Args:
        statistic: called with (*shared, treated) and (*shared, baseline).
        pairs: one for each fold and seed.
        samples: how many resamples.
        seed: of the draws.
        level: share of the resamples between the bounds.

    Returns:
        value, low, high, as in `interval`.

    Raises:
        DataError: if there is no pair, or the arrays of one do not have the same number of cases.
    """
    return resampled_difference(statistic, pairs, samples, seed).interval(level)


def resampled_difference(
    statistic: Statistic, pairs: Sequence[Pair], samples: int = 1000, seed: int = 0
) -> Resampled:
    """What `paired_difference` makes its interval of."""
    taken = [Sample(pair.groups, (*pair.shared, pair.treated, pair.baseline)) for pair in pairs]
    return resampled(_Difference(statistic), taken, samples, seed)


def averaged(
    statistic: Statistic,
    runs: Sequence[Sample],
    samples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """A statistic averaged over folds and seeds, with one interval over groups.

    The value is the mean over runs of the statistic on the run's own cases. Each resample draws groups,
    with replacement, from the groups of all runs together; a case counts as often as its group was
    drawn, in every fold and seed alike, and the mean over runs is taken again. So runs of several seeds
    on the same cases are averaged, not counted as more cases. Runs for which a resample leaves the
    statistic undefined are left out of its mean.

    The interval speaks of other patients for these trained models, not of other training sets.

    Args:
        statistic: called with the arrays of a run.
        runs: one for each fold and seed; groups of the same name are the same patients in all.
        samples: how many resamples.
        seed: of the draws.
        level: share of the resamples between the bounds.

    Returns:
        value, low, high, as in `interval`.

    Raises:
        DataError: if there is no run, or the arrays of one do not have the same number of cases.
    """
    return resampled(statistic, runs, samples, seed).interval(level)


def resampled(statistic: Statistic, runs: Sequence[Sample], samples: int = 1000, seed: int = 0) -> Resampled:
    """What `averaged` makes its interval of; the same groups and seed give the same draws."""
    return resampled_together(statistic, [runs], samples, seed)[0]


def resampled_together(
    statistic: Statistic, sets: Sequence[Sequence[Sample]], samples: int = 1000, seed: int = 0
) -> list[Resampled]:
    """As `resampled` of each of several sets of runs, such as variants, with the same draws for all.

    Groups are drawn from those of all sets together, so that whatever is computed of the sets' numbers, draw
    by draw, is of the same patients.

    Raises:
        DataError: if there is no set, a set holds no run, or the arrays of a run do not have the same number
            of cases.
    """
    if not sets or not all(sets):
        raise DataError("an interval over runs needs at least one run, but got none.")
    checked = [[_checked(run) for run in runs] for runs in sets]
    every = [groups for runs in checked for groups, _ in runs]
    names = np.unique(np.concatenate(every))
    placed = [[(np.searchsorted(names, groups), arrays) for groups, arrays in runs] for runs in checked]
    most = max(len(groups) for groups in every)
    parts = [
        [
            _mean([_resampled(statistic, counts[:, place], arrays) for place, arrays in runs])
            for runs in placed
        ]
        for counts in _draws(len(names), most, samples, seed)
    ]
    found: list[Resampled] = []
    for runs, *drawn in zip(placed, *parts, strict=True):
        value, whole = float(_mean([statistic(*arrays) for _, arrays in runs])), np.concatenate(drawn)
        moved = _around(value, whole) if rises(statistic) else whole
        found.append(Resampled(value, moved, len(names)))
    return found


def rises(statistic: Statistic) -> bool:
    """Whether a statistic says of itself that it rises where cases repeat, as every resample has them."""
    return bool(getattr(statistic, "rises_with_repeats", False))


def _around(value: float, drawn: Floats) -> Floats:
    """Resamples moved so that their mean is the value: their spread is kept, their bias is not."""
    defined = drawn[~np.isnan(drawn)]
    return drawn + (value - defined.mean()) if len(defined) else drawn


def _checked(run: Sample) -> tuple[Array, tuple[Array, ...]]:
    groups = np.asarray(run.groups).astype(str)
    arrays = tuple(np.asarray(array) for array in run.arrays)
    sizes = {len(array) for array in arrays}
    if len(groups) == 0 or sizes != {len(groups)}:
        raise DataError(
            "a bootstrap needs arrays of as many cases as there are groups, at least one,"
            f" but got {len(groups)} groups and arrays of {sorted(sizes)} cases."
        )
    return groups, arrays


def _draws(groups: int, cases: int, samples: int, seed: int) -> Iterator[Floats]:
    """How often each group was drawn, (B, groups) at a time, `samples` rows in all."""
    at_least("samples", samples, 1)
    rng = generator(seed, "bootstrap", groups)
    step = max(1, _CHUNK // max(cases, groups))
    for start in range(0, samples, step):
        size = min(step, samples - start)
        yield rng.multinomial(groups, np.full(groups, 1 / groups), size=size).astype(np.float64)


def _resampled(statistic: Statistic, weights: Floats, arrays: tuple[Array, ...]) -> Floats:
    if isinstance(statistic, Weighted):
        return statistic.weighted(weights, *arrays)
    values: list[float] = []
    for row in weights:
        places = np.repeat(np.arange(len(row)), row.astype(np.int64))
        values.append(float(statistic(*(array[places] for array in arrays))) if len(places) else np.nan)
    return np.array(values)


def _mean(values: Sequence[Any]) -> Floats:
    """Mean over the first axis of what is defined; NaN where nothing is."""
    stacked = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(stacked)
    count = defined.sum(axis=0)
    total = np.where(defined, stacked, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)

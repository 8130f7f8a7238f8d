"""Batches of t exams with a few frames of each, so that nearly all organs are in a batch. Free of torch.

Source: the study of unlabelled abdominal ultrasound (paper 002), section 3.2: "at each iteration we randomly
sample a subset t of exams, instead of sampling a set of images"; t = 16 for unlabelled images. How many
frames of an exam it takes is not said, so it is a setting; here it is the same number of each exam, because
otherwise a few long exams fill a batch. Everything is derived from the seed and the epoch alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoprior.cases.case_set import CaseSet
from sonoprior.core.checks import at_least
from sonoprior.core.errors import DataError
from sonoprior.core.randomness import derived_seed, generator

from .draws import uniforms

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ExamBatches:
    """How a loader fills its batches with exams.

    Attributes:
        exams: (N,), the number of the exam of every case of the set, -1 for none (`exam_numbers`).
        each: n, frames an exam in a batch; a batch of b cases has b / n exams.
    """

    exams: Integers
    each: int = 1

    def epoch(self, exams: Integers, batch: int, seed: int, epoch: int) -> Integers:
        """The cases of one epoch, one batch after the other; see `exam_batches`."""
        return np.concatenate(exam_batches(exams, self._together(batch), seed, epoch, self.each))

    def count(self, exams: Integers, batch: int, whole_only: bool = False) -> int:
        """How many batches an epoch has; the last may be smaller, unless only whole ones are wanted."""
        whole, rest = divmod(_exams_of(exams, self._together(batch)), self._together(batch))
        return whole + (rest > 0 and not whole_only)

    def _together(self, batch: int) -> int:
        if self.each < 1 or batch < 1 or batch % self.each:
            raise DataError(
                f"a batch must hold whole exams, but {batch} cases are no multiple of {self.each} an exam."
            )
        return batch // self.each


def exam_batches(
    groups: Integers, exams_per_batch: int, seed: int, epoch: int, each: int = 1
) -> Sequence[Integers]:
    """The batches of one epoch: indices into the groups, (t * n,) each, the frames of an exam in a row.

    Every exam comes once an epoch, in a drawn order; the last batch has the exams that are left. The frames
    of an exam are dealt like cards over the epochs: an exam of m frames shows all of them within m / n epochs
    (rounded up) before any round begins anew. An exam with fewer than n frames gives all it has, again and
    again until there are n. A case without an exam is an exam of its own.

    Args:
        groups: (c,) the number of the exam of each case, -1 for none.
        exams_per_batch: t.
        seed: the run's seed.
        epoch: counted from 0.
        each: n, frames an exam.

    Raises:
        DataError: if there are fewer than t exams, or t or n is below 1.

    >>> [len(batch) for batch in exam_batches(np.array([0, 0, 1, 1, 2]), 2, seed=0, epoch=0)]
    [2, 1]
    """
    at_least("frames an exam", each, 1, DataError)
    _exams_of(groups, exams_per_batch)
    _, exams, sizes = np.unique(_with_own(groups), return_inverse=True, return_counts=True)
    mixed = generator(seed, "exam_batches", epoch).permutation(len(sizes))
    frames = _dealt(exams, sizes, each, seed, epoch)[mixed]
    starts = range(0, len(frames), exams_per_batch)
    return [frames[start : start + exams_per_batch].ravel() for start in starts]


def exam_numbers(case_set: CaseSet) -> Integers:
    """For each case the number of its exam, in the order in which exams first come, -1 for none (N,).

    Raises:
        DataError: if no case names an exam.
    """
    exams = case_set.column("exam")
    if all(exam is None for exam in exams):
        raise DataError(f"{case_set.root} must name exams to be sampled by exam, but no case names one.")
    return pd.factorize(pd.Series(exams))[0].astype(np.int64)


def _dealt(exams: Integers, sizes: Integers, each: int, seed: int, epoch: int) -> Integers:
    """The n frames that each exam gives in this epoch, (exams, n).

    A round is as many epochs as it takes to show all frames; each round deals them in another order.
    """
    rounds, turn = np.divmod(epoch, -(-sizes // each))
    cases = np.arange(len(exams))
    keys = uniforms(derived_seed(seed, "exam frames"), cases, rounds[exams])[0]
    order = np.lexsort([keys, exams])
    starts = np.cumsum(sizes) - sizes
    places = (turn[:, None] * each + np.arange(each)) % sizes[:, None]
    return order[starts[:, None] + places]


def _with_own(groups: Integers) -> Integers:
    """The groups, with a number of its own for each case without one."""
    alone = groups < 0
    own = groups.max(initial=-1) + 1 + np.arange(np.count_nonzero(alone))
    numbered = groups.copy()
    numbered[alone] = own
    return numbered


def _exams_of(groups: Integers, exams_per_batch: int) -> int:
    """How many exams there are, enough for a batch."""
    at_least("exams a batch", exams_per_batch, 1, DataError)
    exams = len(np.unique(groups[groups >= 0])) + int(np.count_nonzero(groups < 0))
    if exams < exams_per_batch:
        raise DataError(
            f"a batch needs {exams_per_batch} exams, but there are only {exams}; take a smaller batch, or"
            " more frames an exam."
        )
    return exams

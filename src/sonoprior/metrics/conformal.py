"""Sets of classes that hold the true one as often as promised, where whole patients come, not single images.

Images of one patient are alike, so that a thousand of ten patients are ten observations, not a thousand. A
patient therefore weighs 1, whatever the number of its cases, and one more patient, of whom nothing is known
and the worst is assumed, stands for the one to come:

    [ sum over patients of (mean loss of the patient's cases) + 1 ] / (patients + 1)  <=  risk.

With the loss "the true class is not in the set" this is the quantile of hierarchical conformal prediction
(Lee, Barber and Willett, Distribution-free inference with hierarchical data, 2023); with one case a patient
it is split conformal prediction with the score 1 - p of the true class (Sadinle, Lei and Wasserman, JASA 114,
2019). With the loss "share of the shown classes that are not in the set" it is conformal risk control
(Angelopoulos, Bates, Fisch, Lei and Schuster, ICLR 2024, equation 4), with patients as its units.

A set holds the classes whose probability is at least a floor. Floors are 0 where there are too few patients
to promise anything, so that every class is a candidate; and infinite where no class need be one.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonoprior.core.checks import within
from sonoprior.core.errors import DataError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Pool = Literal["class", "all classes"]

# Sums of weights such as 1/3 are right but for the last digits.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Floor:
    """The probability from which on a class is a candidate.

    Attributes:
        value: from 0 (always one) to infinity (never one).
        patients: how many independent patients it rests on.
        pool: whether a promise is kept for the "class" by itself, or for "all classes" together only.
    """

    value: float
    patients: int
    pool: Pool


def patients_needed(coverage: float) -> int:
    """The fewest patients with which a set smaller than all classes can be promised to cover that often.

    >>> patients_needed(0.95), patients_needed(0.9)
    (19, 9)

    Raises:
        DataError: if the coverage does not lie above 0 and below 1.
    """
    if not 0 < coverage < 1:
        raise DataError(f"the coverage must lie above 0 and below 1, but got {coverage}.")
    return ceil(round(coverage / (1 - coverage), 6))


def patient_weights(groups: ArrayLike) -> tuple[Floats, int]:
    """The weight of each case (n,), so that every patient weighs 1; and how many patients there are.

    >>> patient_weights(["a", "a", "b"])
    (array([0.5, 0.5, 1. ]), 2)
    """
    _, patient, cases = np.unique(np.asarray(groups).astype(str), return_inverse=True, return_counts=True)
    return 1 / cases[patient], len(cases)


def highest_floor(chances: Floats, losses: Floats, patients: int, risk: float) -> float:
    """The highest floor that keeps the expected loss of one more patient within the risk.

    Args:
        chances: (m,) probabilities of classes that are shown; each is missed where the floor is above it.
        losses: (m,) what it adds to the mean loss of its patient when it is missed; those of a patient add up
            to 1 at most.
        patients: how many there are, those without a loss included.
        risk: the loss that is allowed.

    Returns:
        One of the chances; 0 if there are too few patients, infinity if everything may be missed.

    >>> highest_floor(np.array([0.9, 0.2, 0.8]), np.ones(3), patients=3, risk=0.5)
    0.8
    """
    allowed = risk * (patients + 1) - 1 + _ROUNDING
    if allowed < 0:
        return 0.0
    order = np.argsort(chances)
    # A floor at a chance misses those below it: the sum before it, in rising order.
    missed = np.cumsum(losses[order])
    first_kept = int(np.searchsorted(missed, allowed, side="right"))
    return float(chances[order][first_kept]) if first_kept < len(chances) else float("inf")


def coverage_floors(
    labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike, coverage: float
) -> list[Floor]:
    """For each class the floor with which sets hold the true class of a new patient's case so often.

    Two promises are kept. Over all classes: of a case of a new patient, drawn at random from that patient's.
    And for every class with `patients_needed`: of a case of that class, of a new patient who has one (Vovk,
    Conditional validity of inductive conformal predictors, 2012). Neither follows from the other where
    patients with many cases are easier or harder than those with few, so a class takes the lower one of both
    floors; lower floors only make sets larger.

    Args:
        labels: (n,) class numbers of the calibration cases, never of cases that were trained with, or that
            settings were chosen by.
        probabilities: (n, K).
        groups: (n,) the patient of each case.
        coverage: how often the true class is in the set.

    Raises:
        DataError: if there is no case, shapes do not fit, or a probability is not a number from 0 to 1.
    """
    given = checked_chances(probabilities)
    true, who = np.asarray(labels), np.asarray(groups).astype(str)
    if not len(given) == len(true) == len(who):
        raise DataError(
            "labels, probabilities and groups must be as many, but got"
            f" {len(true)}, {len(given)} and {len(who)}."
        )
    needed = patients_needed(coverage)
    chance = given[np.arange(len(true)), true]

    def of(among: Bools, pool: Pool) -> Floor:
        losses, patients = patient_weights(who[among])
        return Floor(highest_floor(chance[among], losses, patients, 1 - coverage), patients, pool)

    of_all = of(np.ones(len(true), np.bool_), "all classes")
    own = [of(true == kind, "class") for kind in range(given.shape[1])]
    return [
        replace(floor, value=min(floor.value, of_all.value)) if floor.patients >= needed else of_all
        for floor in own
    ]


def miss_floor(shown: ArrayLike, scores: ArrayLike, groups: ArrayLike, coverage: float) -> Floor:
    """The floor with which, of the classes that a new patient's case shows, so many are in the set.

    Args:
        shown: (n, C) bool, the classes that each calibration case shows, possibly none: then none is missed.
        scores: (n, C), from 0 to 1, larger where a class is likelier.
        groups: (n,) the patient of each case.
        coverage: 1 - the expected share of missed classes.

    Raises:
        DataError: as `coverage_floors`.
    """
    given = checked_chances(scores)
    true = np.asarray(shown)
    if true.shape != given.shape or true.dtype != np.bool_:
        raise DataError(
            f"shown classes must be bool of shape {given.shape}, but got {true.dtype} of shape {true.shape}."
        )
    patients_needed(coverage)
    weights, patients = patient_weights(groups)
    each = weights / np.maximum(true.sum(axis=1), 1)
    case, kind = np.nonzero(true)
    return Floor(
        highest_floor(given[case, kind], each[case], patients, 1 - coverage), patients, "all classes"
    )


def covered(labels: ArrayLike, candidates: ArrayLike) -> Floats:
    """The share of the true classes that is among the candidates, (n,): 1 where nothing is to be found.

    Args:
        labels: (n,) class numbers, or (n, C) bool where a case may show several.
        candidates: (n, C) bool.
    """
    held, true = np.asarray(candidates), np.asarray(labels)
    shown = true if true.ndim == 2 else true[:, None] == np.arange(held.shape[1])
    count = shown.sum(axis=1)
    return np.where(count > 0, (shown & held).sum(axis=1) / np.maximum(count, 1), 1.0)


def of_patients(values: Floats, groups: ArrayLike) -> tuple[NDArray[np.str_], Floats]:
    """The patients (P,) and the mean of the values (n,) of each, (P,)."""
    names, patient = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    return names, np.bincount(patient, weights=values) / np.bincount(patient)


def checked_chances(probabilities: ArrayLike) -> Floats:
    """Probabilities (n, C) of one case or more, each a number from 0 to 1.

    Raises:
        DataError: if they are not.
    """
    given = np.asarray(probabilities, dtype=np.float64)
    if given.ndim != 2 or not given.size:
        raise DataError(
            f"prediction sets need probabilities (n, C) of a case or more, but got {given.shape}."
        )
    if not np.isfinite(given).all():
        raise DataError("prediction sets need finite probabilities, but got NaN or infinite ones.")
    for chance in (float(given.min()), float(given.max())):
        within("a probability", chance, 0.0, 1.0, DataError)
    return given

"""What a bundle's confidence is worth, measured on cases that it was not fitted on."""

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle.confidence import Bounds, ClassMeasured, Confidence, Fit, Measured, probabilities_of
from sonoprior.bundle.decider import Decider
from sonoprior.metrics.bootstrap import Mean, interval
from sonoprior.metrics.calibration import ece
from sonoprior.metrics.conformal import covered, of_patients

from .calibration_cases import Seen

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# A probability of 0 for what came true would make the likelihood infinite.
_LEAST = 1e-12


def scores_of(
    named_by: str | None, logits: NDArray[np.floating], temperature: float, decider: Decider | None
) -> Floats:
    """What candidates are chosen by, (n, C): calibrated probabilities, or the classes' shares in clusters."""
    if named_by == "clusters":
        assert decider is not None  # the clusters of a run are matched with classes
        return decider.scores(None, logits.argmax(axis=1))
    return probabilities_of(logits, temperature, several=named_by == "several")


def measured(confidence: Confidence, cases: Seen, on: str, decider: Decider | None) -> Measured:
    """Coverage and size of the candidate sets, and how far probabilities can be believed.

    Args:
        confidence: fitted on other patients.
        cases: of known label.
        on: which cases these are, in words.
        decider: where there is one, as in `fit_confidence`.
    """
    held = confidence.candidates(
        scores_of(confidence.named_by, cases.logits, confidence.temperature, decider)
    )
    assert held is not None  # it is calibrated
    found = covered(cases.labels, held)
    return Measured(
        on=on,
        cases=len(cases),
        patients=cases.patients,
        coverage=mean_of_patients(found, cases.groups),
        candidates=mean_of_patients(held.sum(axis=1).astype(np.float64), cases.groups),
        by_class={name: _of_class(at, held, cases) for at, name in enumerate(confidence.classes)},
        before=_fit(confidence.named_by, cases, 1.0),
        after=_fit(confidence.named_by, cases, confidence.temperature),
    )


def mean_of_patients(values: Floats, groups: NDArray[np.str_]) -> Bounds:
    """The mean over patients of the mean over each one's cases, with its interval over patients."""
    patients, means = of_patients(values, groups)
    return Bounds.model_validate(interval(Mean(), patients, means).plain())


def _of_class(kind: int, held: Bools, cases: Seen) -> ClassMeasured:
    shown = (cases.labels[:, kind] if cases.labels.ndim == 2 else cases.labels == kind).astype(np.bool_)
    if not shown.any():
        return ClassMeasured(patients=0, cases=0, coverage=Bounds(value=None, low=None, high=None))
    coverage = mean_of_patients(held[shown, kind].astype(np.float64), cases.groups[shown])
    return ClassMeasured(
        patients=len(np.unique(cases.groups[shown])), cases=int(shown.sum()), coverage=coverage
    )


def _fit(named_by: str | None, cases: Seen, temperature: float) -> Fit | None:
    """How well probabilities fit what came true; of several classes, every decision."""
    if named_by == "clusters":
        return None
    several = named_by == "several"
    chances = probabilities_of(cases.logits, temperature, several=several)
    labels = cases.labels.astype(np.int64)
    if several:
        chances, labels = np.stack([1 - chances.ravel(), chances.ravel()], axis=1), labels.ravel()
    true = np.eye(chances.shape[1])[labels]
    return Fit(
        ece=ece(labels, chances),
        brier=float(((chances - true) ** 2).sum(axis=1).mean()),
        nll=float(-np.log(np.maximum(chances[np.arange(len(labels)), labels], _LEAST)).mean()),
    )

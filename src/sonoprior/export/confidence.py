"""Fitting what a bundle says of its confidence, on patients that it has not learnt from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle.confidence import ClassFloor, Confidence
from sonoprior.bundle.decider import Decider
from sonoprior.bundle.manifest import Views
from sonoprior.core.errors import DataError
from sonoprior.metrics.conformal import Floor, coverage_floors, miss_floor
from sonoprior.metrics.temperature import fitted_temperature

from .calibration_cases import Seen, calibration_cases
from .measured_confidence import mean_of_patients, measured, scores_of

__all__ = ["FAMILIAR", "Seen", "fit_confidence"]

FAMILIAR = 0.99
"""The share of the validation cases that is familiar by definition."""


def fit_confidence(
    views: Views | None,
    parts: Mapping[str, Seen],
    *,
    decider: Decider | None = None,
    coverage: float = 0.95,
    seed: int = 0,
) -> Confidence:
    """Temperature, candidate sets and the limit of what is familiar; and what they are worth on test.

    Temperature and sets are fitted on the part "calibration", or where a run has none on half of the patients
    of its test part, and measured on the (other half of the) test part. The limit of what is familiar comes
    from the validation part.

    Args:
        views: how logits become views; None for a bundle that names none.
        parts: "validation", "test" and "calibration", as far as there are any; only cases of a class that is
            named.
        decider: for views of several classes or of clusters.
        coverage: how often the true class shall be among the candidates.
        seed: of the halves of a test part, and of intervals.

    Raises:
        DataError: if a logit or unfamiliarity is not a number.
    """
    cases = calibration_cases(parts, seed)
    familiar = _familiar(parts.get("validation"), parts.get("test"))
    if views is None or cases.fitted is None:
        reason = cases.on if views else "the bundle names no views"
        return Confidence.uncalibrated(views, reason).model_copy(update=familiar)
    confidence = _fitted(views, cases.fitted, cases.on, decider, coverage)
    found = measured(confidence, cases.measured, cases.measured_on, decider) if cases.measured else None
    return confidence.model_copy(update={"measured": found} | familiar)


def _fitted(views: Views, cases: Seen, on: str, decider: Decider | None, coverage: float) -> Confidence:
    clusters = views.named_by == "clusters"
    temperature = 1.0 if clusters else fitted_temperature(cases.logits, cases.labels)
    scores = scores_of(views.named_by, cases.logits, temperature, decider)
    if views.several:
        floors = [miss_floor(cases.labels, scores, cases.groups, coverage)] * len(views.classes)
    else:
        floors = coverage_floors(cases.labels, scores, cases.groups, coverage)
    return Confidence(
        named_by=views.named_by,
        classes=views.classes,
        calibrated=True,
        on=on,
        cases=len(cases),
        patients=cases.patients,
        temperature=temperature,
        coverage=coverage,
        floors={name: _plain(floor) for name, floor in zip(views.classes, floors, strict=True)},
    )


def _plain(floor: Floor) -> ClassFloor:
    value = None if np.isinf(floor.value) else floor.value
    return ClassFloor(floor=value, patients=floor.patients, pool=floor.pool)


def _familiar(validation: Seen | None, test: Seen | None) -> dict[str, Any]:
    """The limit of what is familiar, and the share of the test cases within it."""
    if validation is None or validation.unfamiliarity is None or not len(validation):
        return {}
    limit = float(np.quantile(_finite(validation.unfamiliarity), FAMILIAR))
    told: dict[str, Any] = {"limit": limit, "familiar_share": FAMILIAR}
    if test is None or test.unfamiliarity is None or not len(test):
        return told
    within = (_finite(test.unfamiliarity) <= limit).astype(np.float64)
    return told | {"familiar_on_test": mean_of_patients(within, test.groups)}


def _finite(unfamiliarity: NDArray[np.floating]) -> NDArray[np.float64]:
    if not np.isfinite(unfamiliarity).all():
        raise DataError("the unfamiliarity of a case must be a finite number, but got NaN or infinite ones.")
    return unfamiliarity.astype(np.float64)

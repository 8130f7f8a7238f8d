"""Temperature scaling: logits divided by one number, so that probabilities can be believed.

Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2. scikit-learn has it for one
label a case (`CalibratedClassifierCV(method="temperature")`) and is what the tests compare with; here classes
may be missing among the calibration cases, and a case may show several.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

from sonoprior.core.errors import DataError

Floats = NDArray[np.float64]

_LOWEST, _HIGHEST = 1e-3, 1e3


def fitted_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature with the least negative log-likelihood on calibration cases.

    Where every case is right, the likelihood alone would make the network infinitely sure. Then the chance
    that the next one is wrong all the same counts, 1 / (n + 2) by Laplace's rule of succession, shared by the
    other classes (as Platt's targets for two, Probabilistic outputs for support vector machines, 1999).

    Args:
        logits: (n, K), of any scale: of a classifier, or similarities.
        labels: (n,) class numbers; or (n, K) bool, where each class is a decision of its own.

    Raises:
        DataError: if there is no case, shapes do not fit, or a logit is not a number.
    """
    given, true = np.asarray(logits, np.float64), np.asarray(labels)
    _check(given, true)
    several = true.ndim == 2
    targets = _targets(given, true if several else np.eye(given.shape[1])[true], several=several)

    def loss(log_temperature: float) -> float:
        scaled = given / np.exp(log_temperature)
        if several:
            return -float((targets * log_expit(scaled) + (1 - targets) * log_expit(-scaled)).mean())
        return -float((targets * log_softmax(scaled, axis=1)).sum(axis=1).mean())

    # In 1 / temperature the loss is convex, so in its logarithm it has one valley.
    found = minimize_scalar(loss, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded")
    return float(np.exp(found.x))


def _targets(logits: Floats, shown: NDArray[np.generic], *, several: bool) -> Floats:
    """Which classes are true (n, K); a little unsure where the logits are right about all of them."""
    true = shown.astype(np.bool_)
    lowest, highest = np.where(true, logits, np.inf), np.where(true, -np.inf, logits)
    right = min(lowest.min(), -highest.max()) > 0 if several else (lowest.min(1) > highest.max(1)).all()
    doubt = 1 / (len(shown) + 2) if right else 0.0
    others = 1 if several else shown.shape[1] - 1
    return np.where(true, 1 - doubt, doubt / max(1, others))


def _check(logits: Floats, labels: NDArray[np.generic]) -> None:
    if logits.ndim != 2 or not logits.size or labels.shape not in {logits.shape[:1], logits.shape}:
        raise DataError(
            "a temperature needs logits (n, K) of a case or more and labels (n,) or (n, K), but got shapes"
            f" {logits.shape} and {labels.shape}."
        )
    if not np.isfinite(logits).all():
        raise DataError("a temperature needs finite logits, but got NaN or infinite ones.")

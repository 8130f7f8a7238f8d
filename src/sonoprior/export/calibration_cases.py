"""The cases that confidence is fitted on and those that it is measured on: never the same patient in both."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoprior.cases.splits import single_split
from sonoprior.core.errors import DataError
from sonoprior.training.parts import CALIBRATION, rarest_classes


@dataclass(frozen=True)
class Seen:
    """What the network of a bundle gives for the n cases of a part whose label is known.

    Attributes:
        logits: (n, K), as `bundle.manifest.Views` describes them.
        labels: (n,) class numbers, or (n, C) bool where a case may show several.
        groups: (n,) the patient of each case, or what else must not be cut.
        unfamiliarity: (n,); None where the bundle does not tell.
    """

    logits: NDArray[np.floating]
    labels: NDArray[np.generic]
    groups: NDArray[np.str_]
    unfamiliarity: NDArray[np.floating] | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def patients(self) -> int:
        """How many there are."""
        return len(np.unique(self.groups))

    def of(self, places: NDArray[np.int64]) -> "Seen":
        """Some of the cases."""
        strange = None if self.unfamiliarity is None else self.unfamiliarity[places]
        return Seen(self.logits[places], self.labels[places], self.groups[places], strange)


@dataclass(frozen=True)
class CalibrationCases:
    """What is fitted on, and what is measured on.

    Attributes:
        fitted: the calibration cases; None where there are none.
        on: which they are, in words; why there are none, where there are none.
        measured: the test cases that are left; None where none is.
        measured_on: which they are, in words.
    """

    fitted: Seen | None
    on: str
    measured: Seen | None
    measured_on: str


def calibration_cases(parts: Mapping[str, Seen], seed: int) -> CalibrationCases:
    """The calibration part of a run, or else half of the patients of its test part.

    Training cases are no use, a network is too sure of them; nor are validation cases, by which thresholds
    and the weights that are kept were chosen.

    Args:
        parts: what the network gives for the parts that the run has.
        seed: of the draw of the half.
    """
    own, test = _filled(parts.get(CALIBRATION)), _filled(parts.get("test"))
    if own is not None:
        return CalibrationCases(own, "the calibration part of the split", test, "the test part")
    if test is None:
        return CalibrationCases(None, "the run has no calibration part and no test part", None, "")
    try:
        first, second = _halves(test, seed)
    except DataError as error:
        reason = f"the run has no calibration part, and its test part cannot be halved: {error}"
        return CalibrationCases(None, reason, test, "the test part")
    return CalibrationCases(
        first, "half of the test part, by patient", second, "the other half of the test part"
    )


def _filled(part: Seen | None) -> Seen | None:
    return part if part is not None and len(part) else None


def _halves(test: Seen, seed: int) -> tuple[Seen, Seen]:
    """Two halves with the classes in proportion; those of one patient alone are in one of them."""
    kinds = _kinds(test.labels)
    shared = np.array([len(np.unique(test.groups[kinds == kind])) > 1 for kind in range(kinds.max() + 1)])
    dealt = np.where(shared[kinds], kinds, -1)
    halves = single_split(dealt, test.groups, (0.5, 0, 0.5), seed, strata=kinds)
    return test.of(halves["train"]), test.of(halves["test"])


def _kinds(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """One class number a case, (n,): of several the rarest."""
    if labels.ndim == 1:
        return labels.astype(np.int64)
    members, numbers = np.unique(labels.astype(np.bool_), axis=0, return_inverse=True)
    return rarest_classes(numbers, members)

"""`confidence.json`: how a bundle's logits become probabilities, candidates and "not a view I know".

Fitted when a run is exported, applied where it answers. Free of torch.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sonoprior.core.checks import listed
from sonoprior.core.errors import DataError, FolderError
from sonoprior.core.folder import read_json, refuse_newer, write_json

from .decider import Decider
from .manifest import CONFIDENCE, Views

FORMAT = 1
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ClassFloor(_Part):
    """From which probability on a class is a candidate.

    Attributes:
        floor: from 0 (always one) to 1; None for a class that need never be one.
        patients: how many independent patients it rests on.
        pool: for what a promise is kept, see `metrics.conformal.Floor`.
    """

    floor: float | None = Field(ge=0, le=1)
    patients: int = Field(ge=0)
    pool: Literal["class", "all classes"]


class Bounds(_Part):
    """A number with the bounds of its 95 % interval over patients; None where it is not known."""

    value: float | None
    low: float | None
    high: float | None


class Fit(_Part):
    """How far probabilities can be believed, on the measured cases; all are better when smaller.

    Attributes:
        ece: expected calibration error, see `metrics.calibration`.
        brier: the mean squared distance of probabilities from 0 and 1, summed over the classes.
        nll: negative log-likelihood, in nats.
    """

    ece: float
    brier: float
    nll: float


class ClassMeasured(_Part):
    """Of the measured cases that show a class: how often it was a candidate."""

    patients: int
    cases: int
    coverage: Bounds


class Measured(_Part):
    """What the confidence was worth on cases that it was not fitted on.

    Attributes:
        on: which cases those are, in words.
        cases, patients: how many.
        coverage: the share of the true classes that were candidates, every patient counting 1.
        candidates: how many classes were candidates, the mean, every patient counting 1.
        by_class: the same by class.
        before, after: the temperature; None for clusters, which have none.
    """

    on: str
    cases: int
    patients: int
    coverage: Bounds
    candidates: Bounds
    by_class: dict[str, ClassMeasured]
    before: Fit | None
    after: Fit | None


class Confidence(_Part):
    """How far a bundle's answers can be believed.

    Attributes:
        format: of the file.
        named_by: as in `Views`; None for a bundle that names no views.
        classes: those that are named, as in `Views`.
        calibrated: whether temperature and floors were fitted.
        reason: why not; empty where they were.
        on: which cases they were fitted on, in words.
        cases, patients: how many those are.
        temperature: what logits are divided by.
        coverage: how often the true class shall be a candidate; where a case shows several, the share of its
            classes that shall be.
        floors: from which probability on each class is a candidate; empty where not calibrated.
        limit: the unfamiliarity up to which a frame is familiar; None where none was fitted.
        familiar_share: the share of the validation cases within it.
        familiar_on_test: the share of the test cases within it, every patient counting 1.
        measured: on test; None where nothing is left to measure on.
    """

    format: int = FORMAT
    named_by: Literal["logits", "several", "clusters", "means"] | None
    classes: list[str]
    calibrated: bool
    reason: str = ""
    on: str = ""
    cases: int = 0
    patients: int = 0
    temperature: float = Field(default=1.0, gt=0)
    coverage: float = Field(default=0.95, gt=0, lt=1)
    floors: dict[str, ClassFloor] = Field(default_factory=dict)
    limit: float | None = None
    familiar_share: float | None = None
    familiar_on_test: Bounds | None = None
    measured: Measured | None = None

    @model_validator(mode="after")
    def _floor_of_each_class(self) -> "Confidence":
        expected = self.classes if self.calibrated else []
        if list(self.floors) != expected:
            raise ValueError(
                f"floors must be those of {listed(expected) or 'no class'}, but are those of"
                f" {listed(self.floors) or 'no class'}"
            )
        return self

    @property
    def promises(self) -> bool:
        """Whether candidates leave any class out; of too few patients nothing is promised and none is."""
        return any(floor.floor != 0 for floor in self.floors.values())

    @staticmethod
    def uncalibrated(views: Views | None, reason: str) -> "Confidence":
        """That of a bundle whose probabilities are as the network gave them.

        Args:
            views: of the bundle.
            reason: why, as a sentence.
        """
        return Confidence(
            named_by=views.named_by if views else None,
            classes=views.classes if views else [],
            calibrated=False,
            reason=reason,
        )

    def probabilities(self, logits: ArrayLike) -> Floats:
        """Probabilities (n, K) of logits (n, K): their sum is 1, or each stands alone where several may show.

        Raises:
            DataError: if the shape does not fit, or a logit is not a number; or for clusters, whose classes
                are scored by what each cluster stands for, see `Decider.scores`.
        """
        if self.named_by in (None, "clusters"):
            named = "clusters" if self.named_by else "nothing"
            raise DataError(f"probabilities are of logits of classes, but this bundle names by {named}.")
        given = self._checked("logits", logits)
        return probabilities_of(given, self.temperature, several=self.named_by == "several")

    def candidates(self, probabilities: ArrayLike) -> Bools | None:
        """The classes that may be shown, (n, K); None where nothing is known of how often that would hold.

        Where one class is shown the most probable one is always a candidate, though floors alone may leave a
        set empty: it is what is answered, and a larger set only covers more.

        Args:
            probabilities: (n, K) as of `probabilities`, or the scores of a decider of clusters.

        Raises:
            DataError: if the shape does not fit.
        """
        if not self.calibrated:
            return None
        given = self._checked("probabilities", probabilities)
        limits = [floor.floor for floor in self.floors.values()]
        held = given >= np.array([np.inf if limit is None else limit for limit in limits])
        if self.named_by in ("logits", "means"):
            held[np.arange(len(held)), given.argmax(axis=1)] = True
        return held

    def familiar(self, unfamiliarity: ArrayLike) -> Bools | None:
        """Whether frames look like those of the training, (n,); None where no limit is known.

        What is not a number is not familiar.
        """
        return None if self.limit is None else np.asarray(unfamiliarity, np.float64) <= self.limit

    def decider(self, decider: Decider) -> Decider:
        """The same decisions on calibrated probabilities as the decider takes on those of the network.

        Dividing all logits by a temperature keeps their order, so that its thresholds move alike.
        """
        if self.named_by != "several":
            return decider
        with np.errstate(divide="ignore"):  # a threshold of 0 has a logit of minus infinity
            finite = np.where(np.isinf(decider.thresholds), 1.0, decider.thresholds)
            moved = _logistic((np.log(finite) - np.log1p(-finite)) / self.temperature)
        return replace(decider, thresholds=np.where(np.isinf(decider.thresholds), np.inf, moved))

    def write(self, folder: Path) -> None:
        """Write `confidence.json`."""
        write_json(folder / CONFIDENCE, self.model_dump())

    @staticmethod
    def read(folder: Path, views: Views | None) -> "Confidence":
        """The confidence of a bundle.

        Args:
            folder: of the bundle.
            views: that it names, of its manifest.

        Raises:
            FolderError: if the file is missing or damaged, is of a newer version, or of other classes.
        """
        path = folder / CONFIDENCE
        content: Any = read_json(path)
        refuse_newer(path, "confidence", content.get("format") if isinstance(content, dict) else None, FORMAT)
        try:
            found = Confidence.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise FolderError(f"{path} is damaged: '{field}': {first['msg']}.") from error
        named, classes = (views.named_by, views.classes) if views else (None, [])
        if (found.named_by, found.classes) != (named, classes):
            raise FolderError(
                f"{path} must be of the classes of the bundle, {listed(classes) or 'none'}, but is of"
                f" {listed(found.classes) or 'none'}."
            )
        return found

    def _checked(self, what: str, values: ArrayLike) -> Floats:
        return _of_classes(what, np.asarray(values, np.float64), self.classes)


def _of_classes(what: str, values: Floats, classes: Sequence[str]) -> Floats:
    if values.ndim != 2 or values.shape[1] != len(classes):
        raise DataError(f"{what} must have shape (n, {len(classes)}), but got {values.shape}.")
    return values


def probabilities_of(logits: ArrayLike, temperature: float = 1.0, *, several: bool = False) -> Floats:
    """Probabilities (n, K) of logits (n, K): their sum is 1, or each stands alone where several may show.

    Raises:
        DataError: if a logit is not a number.
    """
    scaled = np.asarray(logits, np.float64) / temperature
    if not np.isfinite(scaled).all():
        raise DataError("logits must be finite numbers, but got NaN or infinite ones.")
    if several:
        return _logistic(scaled)
    rising = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return rising / rising.sum(axis=1, keepdims=True)


def _logistic(values: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1, small) / (1 + small)

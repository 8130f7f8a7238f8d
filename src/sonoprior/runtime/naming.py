"""From the logits of a bundle's network to the views that are answered, and how sure that is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonoprior.bundle.confidence import Confidence
from sonoprior.bundle.decider import Decider
from sonoprior.bundle.manifest import Views

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Named:
    """What a frame shows; the fields are those of `Answer`, and the defaults what names nothing."""

    view: str | None = None
    shown: tuple[str, ...] = ()
    confidence: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict[str, float])
    candidates: tuple[str, ...] | None = None
    cluster: int | None = None


class Naming:
    """How a bundle names views.

    Args:
        folder: of the bundle.
        views: that it names.
        confidence: of the bundle.

    Raises:
        FolderError: if decisions are needed and missing or damaged.
    """

    def __init__(self, folder: Path, views: Views, confidence: Confidence) -> None:
        self._views, self._confidence = views, confidence
        self._decider = confidence.decider(Decider.read(folder, views.classes)) if views.several else None

    def named(self, logits: NDArray[np.float32]) -> list[Named]:
        """What frames show.

        Args:
            logits: (n, K).

        Raises:
            DataError: if one is not a number.
        """
        if self._decider is None:
            return self._one_each(self._confidence.probabilities(logits))
        if self._views.named_by == "clusters":
            clusters = logits.argmax(axis=1)
            return self._several(self._decider, self._decider.scores(None, clusters), clusters.tolist())
        scores = self._confidence.probabilities(logits)
        return self._several(self._decider, scores, [None] * len(scores))

    def _one_each(self, probabilities: Floats) -> list[Named]:
        held = self._confidence.candidates(probabilities)
        best = probabilities.argmax(axis=1)
        return [
            Named(
                view=self._views.classes[place],
                shown=(self._views.classes[place],),
                confidence=float(probabilities[at, place]),
                probabilities=self._by_class(probabilities[at]),
                candidates=None if held is None else self._names(held[at]),
            )
            for at, place in enumerate(best.tolist())
        ]

    def _several(self, decider: Decider, scores: Floats, clusters: list[int] | list[None]) -> list[Named]:
        shown, names, sure = decider.decided(scores), decider.names(scores), decider.confidence(scores)
        held = self._confidence.candidates(scores)
        return [
            Named(
                view=names[at],
                shown=self._names(shown[at]),
                confidence=float(sure[at]),
                probabilities=self._by_class(scores[at]),
                candidates=None if held is None else self._names(held[at] | shown[at]),
                cluster=clusters[at],
            )
            for at in range(len(scores))
        ]

    def _by_class(self, probabilities: Floats) -> dict[str, float]:
        return dict(zip(self._views.classes, probabilities.tolist(), strict=True))

    def _names(self, held: Bools) -> tuple[str, ...]:
        return tuple(name for name, one in zip(self._views.classes, held.tolist(), strict=True) if one)

"""What is answered of a frame."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Heat = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Overlay:
    """Where the network looked in a frame. It says where, not whether it is right.

    Attributes:
        maps: float32 (H, W) of the frame's size, by name: one for each prior that channels were guided by,
            then that of the free channels. Each has a scale of its own.
        of: what was attributed: a class, the label combination "liver + kidney", or `EVERYTHING`.
        tap: the layer that was looked at.
    """

    maps: Mapping[str, Heat]
    of: str
    tap: str


@dataclass(frozen=True, eq=False)
class Answer:
    """What a bundle says of a frame.

    Attributes:
        view: the most probable class; where each class is decided on by itself all that are shown, as the
            label combination "liver + kidney" or "none"; None for a bundle that names no views.
        shown: the same, class by class; empty for "none", or where no views are named.
        confidence: its probability, from 0 to 1; that of the least certain class of several. None where no
            views are named.
        probabilities: every class with its probability; they sum to 1 where one is shown. Of a network that
            clusters, the share of the class in the frame's cluster. Empty where no views are named.
        candidates: the classes among which the true one is as often as the bundle promises
            (`Confidence.coverage`); None where nothing is known of that.
        familiar: whether the frame looks like those of the training; False means "not a view I know", and
            what else is answered is then worth nothing. None where the bundle cannot tell.
        unfamiliarity: how unlike them it looks; None where the bundle cannot tell.
        limit: the unfamiliarity up to which a frame is familiar; None where no limit is known.
        embedding: float32 (D,) of length 1, by which cases are compared.
        overlay: where the network looked, if it was asked for.
        cluster: the frame's cluster, of a network that clusters.
    """

    view: str | None
    shown: tuple[str, ...]
    confidence: float | None
    probabilities: Mapping[str, float]
    candidates: tuple[str, ...] | None
    familiar: bool | None
    unfamiliarity: float | None
    limit: float | None
    embedding: NDArray[np.float32]
    overlay: Overlay | None = None
    cluster: int | None = None

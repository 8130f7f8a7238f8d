"""The study's curve: the primary endpoint over something that variants differ in, such as labels used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sonoprior.metrics import Interval
from sonoprior.training.study_settings import CurveSettings

from .differences import Claim
from .rows import claim_row

if TYPE_CHECKING:
    from .results import StudyResults


@dataclass(frozen=True)
class Point:
    """A variant on a line.

    Attributes:
        place: on the axis.
        variant: what stands there.
        value: its primary endpoint with bounds over other patients.
        claim: against the first line's variant at the same place, corrected over all places; None on the
            first line, or without a run in common.
    """

    place: float
    variant: str
    value: Interval
    claim: Claim | None


@dataclass(frozen=True)
class Line:
    """A line of the curve, its points from left to right."""

    name: str
    points: Sequence[Point]

    def rows(self) -> list[dict[str, Any]]:
        """For summary.json."""
        return [
            {"line": self.name, "place": one.place, "variant": one.variant, **one.value._asdict()}
            | ({} if one.claim is None else claim_row(one.claim))
            for one in self.points
        ]


def lines_of(curve: CurveSettings, results: "StudyResults") -> list[Line]:
    """The lines that have a point with a finished run, the one of the baseline first."""
    found = {
        name: {place: variant for place, variant in sorted(points.items()) if variant in results.runs}
        for name, points in curve.lines.items()
    }
    names = sorted(
        (name for name in found if found[name]),
        key=lambda name: results.baseline not in found[name].values(),
    )
    if not names:
        return []
    first = found[names[0]]
    opposed = [
        (variant, first[place])
        for name in names[1:]
        for place, variant in found[name].items()
        if place in first
    ]
    claims = {(one.treated, one.reference): one for one in results.claims_of(opposed)}
    return [
        Line(
            name,
            [
                Point(
                    place,
                    variant,
                    results.outcome(variant).interval,
                    claims.get((variant, first.get(place, ""))),
                )
                for place, variant in found[name].items()
            ],
        )
        for name in names
    ]
